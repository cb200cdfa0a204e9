"""What quantization does to each operator of a `.tflite` file."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_resnet._litert_internals import editable_model, operator_name, schema, serialize_model

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")  # between the numbers of one tensor


def signal_to_noise(float_model: bytes, quantized: bytes, batches: Iterable[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Computes the signal-to-noise ratio at the output of each quantized operator, whose inputs are the float model's.

    LiteRT Quantizer's `validate` compares the whole networks, in which noise accumulates.

    Args:
        float_model: The bytes of a file with one graph and one signature.
        quantized: Of the same, quantized.
        batches: Inputs by name.

    Returns:
        Decibels by the names of the outputs; `inf` where nothing changes.
    """
    content, pairs = side_by_side(editable_model(float_model), editable_model(quantized))
    # Without XNNPACK, which does not keep what is computed on the way.
    builtin = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=builtin, experimental_preserve_all_tensors=True
    )
    run = interpreter.get_signature_runner()
    scales = {detail["index"]: detail["quantization"] for detail in interpreter.get_tensor_details()}
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    for batch in batches:
        run(**batch)
        for index, (given, twin) in enumerate(pairs.values()):
            scale, zero_point = scales[twin]
            x = interpreter.get_tensor(given).astype(np.float64)
            y = (interpreter.get_tensor(twin).astype(np.float64) - zero_point) * scale
            signal[index] += np.square(x).sum()
            noise[index] += np.square(x - y).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = np.where(noise > 0, 10 * np.log10(signal / noise), np.inf)
    return dict(zip(pairs, decibels.tolist(), strict=True))


def side_by_side(model: Any, quantized: Any) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Adds to a float model a twin of each quantized operator, which reads the float model's tensors as integers.

    Args:
        model: A `schema.ModelT`, which is changed.
        quantized: Of the same network, quantized; its tensors have the same names.

    Returns:
        The bytes of a file, and the indices of the float and of the integer output of each operator, by the float one's name.
    """
    (graph,), (other,) = model.subgraphs, quantized.subgraphs
    floats = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    sources = origins(quantized, other)
    first_buffer, first_code = len(model.buffers), len(model.operatorCodes)
    quantize = schema.OperatorCodeT()
    quantize.builtinCode, quantize.version = schema.BuiltinOperator.QUANTIZE, 1
    model.buffers += quantized.buffers
    model.operatorCodes += [*quantized.operatorCodes, quantize]
    copies: dict[int, int] = {}

    def copied(index: int) -> int:
        """The place of a quantized tensor among those of the float graph, at the end of which it is put."""
        tensor = copy.copy(other.tensors[index])
        tensor.name, tensor.buffer = b"quantized/%d/" % len(graph.tensors) + tensor.name, first_buffer + tensor.buffer
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def given(index: int) -> int:
        """What a twin reads for an input of a quantized operator."""
        if index < 0:
            return index
        source = floats.get(sources.get(index, b""))
        if source is not None and other.tensors[index].type == graph.tensors[source].type:
            return source
        if index not in copies:
            copies[index] = copied(index)
            if source is not None:
                operator = schema.OperatorT()
                operator.opcodeIndex = len(model.operatorCodes) - 1
                operator.inputs, operator.outputs = [source], [copies[index]]
                graph.operators.append(operator)
        return copies[index]

    pairs = {}
    for operator in other.operators:
        (output, *_) = operator.outputs
        integers = [index for index in (output, *operator.inputs[:1]) if other.tensors[index].type != schema.TensorType.FLOAT32]
        name = other.tensors[output].name
        if operator_name(quantized, operator) in CONVERSIONS or len(integers) < 2 or name not in floats:
            continue
        twin = copy.copy(operator)
        twin.opcodeIndex = first_code + operator.opcodeIndex
        twin.inputs = [given(index) for index in operator.inputs]
        twin.outputs = [copied(index) for index in operator.outputs]
        graph.operators.append(twin)
        pairs[name.decode()] = (floats[name], twin.outputs[0])
    return serialize_model(model), pairs


def origins(model: Any, graph: Any) -> dict[int, bytes]:
    """The names that the tensors of a quantized graph have in the float one; those of constants are left out."""
    found = {index: graph.tensors[index].name for index in graph.inputs}
    for operator in graph.operators:
        for index in operator.outputs:
            converts = operator_name(model, operator) in CONVERSIONS and operator.inputs[0] in found
            found[index] = found[operator.inputs[0]] if converts else graph.tensors[index].name
    return found
