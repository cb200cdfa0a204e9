"""What quantization does to each operator of an ONNX file."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
import onnxruntime

OWN = "quantized/"  # before the names of tensors that quantized operators compute


def signal_to_noise(
    float_model: onnx.ModelProto, quantized: onnx.ModelProto, batches: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, float]:
    """Computes the signal-to-noise ratio at the output of each quantized operator, whose inputs are the float model's.

    ONNX Runtime's `qdq_loss_debug` compares the whole networks, in which noise accumulates, and keeps all tensors of all images
    in memory.

    Args:
        float_model: The model.
        quantized: The same, with QuantizeLinear and DequantizeLinear; operators have the names of their nodes.
        batches: Inputs by name.

    Returns:
        Decibels by the names of nodes; `inf` where nothing changes.
    """
    outputs = quantized_outputs(float_model.graph, quantized.graph)
    model = side_by_side(float_model, quantized, outputs.values())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    signal, noise = np.zeros(len(outputs)), np.zeros(len(outputs))
    for batch in batches:
        found = [np.asarray(tensor) for tensor in session.run(None, dict(batch))]
        for index, (x, y) in enumerate(zip(found[::2], found[1::2], strict=True)):
            signal[index] += np.square(x, dtype=np.float64).sum()
            noise[index] += np.square(np.subtract(x, y, dtype=np.float64)).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = np.where(noise > 0, 10 * np.log10(signal / noise), np.inf)
    return dict(zip(outputs, decibels.tolist(), strict=True))


def quantized_outputs(graph: onnx.GraphProto, quantized: onnx.GraphProto) -> dict[str, str]:
    """Returns the outputs of the operators that read integers, by the names of their nodes."""
    read = {node.output[0] for node in quantized.node if node.op_type == "DequantizeLinear"}
    there = {name for node in graph.node for name in node.output}
    operators = [node for node in quantized.node if read.intersection(node.input) and node.output[0] in there]
    return {node.name: node.output[0] for node in operators}


def side_by_side(float_model: onnx.ModelProto, quantized: onnx.ModelProto, tensors: Iterable[str]) -> onnx.ModelProto:
    """Returns the float model with a quantized twin of each operator, which reads the float model's tensors.

    Its outputs are the tensors of these names, each followed by the twin's.
    """
    result = onnx.ModelProto()
    result.CopyFrom(float_model)
    graph = result.graph
    constants = {tensor.name: OWN + tensor.name for tensor in quantized.graph.initializer}
    for tensor in quantized.graph.initializer:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = constants[tensor.name]
    outside = {"", *(value.name for value in float_model.graph.input)}
    for node in quantized.graph.node:
        twin = graph.node.add()
        twin.CopyFrom(node)
        twin.name = OWN + node.name
        # What becomes an integer is the float model's; what is one already, or is on its way back, is the twin's.
        given = outside.union(node.input) if node.op_type == "QuantizeLinear" else outside
        twin.input[:] = [constants.get(name, name if name in given else OWN + name) for name in node.input]
        twin.output[:] = [OWN + name for name in node.output]
    left = {node.name for node in quantized.graph.node}
    twins = {name: OWN + name for name in tensors}
    for node in float_model.graph.node:
        output = node.output[0]
        if node.name not in left and output in twins:  # a ReLU that is the lower end of a range now: its name has gone over
            graph.node.add().CopyFrom(node)
            graph.node[-1].name, graph.node[-1].input[0] = OWN + node.name, twins[output]
            graph.node[-1].output[0] = twins[output] = f"{OWN}{OWN}{output}"
    del graph.output[:]
    for pair in twins.items():
        graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, pair))
    return result
