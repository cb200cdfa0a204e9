"""Dense layers as every reader of ONNX expects them: Flatten and Gemm.

tf2onnx writes a head as Squeeze, MatMul and Add. OpenCV makes (N, 1, classes) of that for more than one image, in 4.14 and in
the classic engine of 5.0. ONNX Runtime and OpenVINO run both spellings alike, and equally fast.

In integers OpenCV 4.14 gives wrong numbers for more than one image, and 5.0 does not load, where a Gemm with a bias stands
between QuantizeLinear and DequantizeLinear. Both run one without.
"""

from collections.abc import Iterator

import onnx

from ..format import FEATURES, GRADCAM

POOLINGS = ("GlobalAveragePool", "GlobalMaxPool")  # whose outputs are (N, C, 1, 1)
GEMM_WITHOUT_BIAS = 11  # the first opset that has it


def rewrite_dense_layers(model: onnx.ModelProto) -> None:
    """Makes a Flatten of what drops the last axes of a global pooling, and a Gemm of each MatMul of (N, C) by constants.

    The names of outputs and kernels stay. What looks otherwise is left alone.
    """
    graph = model.graph
    opset = max(entry.version for entry in model.opset_import if not entry.domain)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    shapes = dict(inferred_shapes(model))
    for node in graph.node:
        pooling = makers.get(node.input[0]) if node.op_type in ("Squeeze", "Reshape") else None
        if pooling is not None and pooling.op_type in POOLINGS:
            before, after = (shapes.get(name, []) for name in (node.input[0], node.output[0]))
            if len(after) == 2 and after[1] == before[1] > 0:
                node.CopyFrom(onnx.helper.make_node("Flatten", node.input[:1], node.output, node.name, axis=1))
    products = [node for node in graph.node if node.op_type == "MatMul" and len(shapes.get(node.input[0], [])) == 2]
    for product in products:
        kernel = constants.get(product.input[1])
        if kernel is None or len(kernel.dims) != 2:
            continue
        addition = bias_addition(graph, product, constants, kernel.dims[1])
        if addition is not None:
            bias = [name for name in addition.input if name != product.output[0]]
            # In the place of the later node: by then all of its inputs are there.
            addition.CopyFrom(onnx.helper.make_node("Gemm", [*product.input, *bias], addition.output, product.name))
            graph.node.remove(product)
        elif opset >= GEMM_WITHOUT_BIAS:
            product.CopyFrom(onnx.helper.make_node("Gemm", product.input, product.output, product.name))
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:  # the axes of Squeeze
        graph.initializer.remove(tensor)


def bias_addition(
    graph: onnx.GraphProto, product: onnx.NodeProto, constants: dict[str, onnx.TensorProto], width: int
) -> onnx.NodeProto | None:
    """Returns the Add of a constant (width,) that alone reads the product, or None."""
    (output,) = product.output
    readers = [node for node in graph.node if output in node.input]
    if len(readers) != 1 or readers[0].op_type != "Add" or output in (value.name for value in graph.output):
        return None
    biases = [constants[name] for name in readers[0].input if name in constants]
    return readers[0] if [list(bias.dims) for bias in biases] == [[width]] else None


def head_layers(graph: onnx.GraphProto) -> list[str]:
    """Returns the names of the dense layers after which no weights come: the network's last one.

    What gives features is not one of them: that is a hidden layer, where a network has such.
    """
    makers = {name: node for node in graph.node for name in node.output}
    found, names = [], [value.name for value in graph.output if value.name not in (FEATURES, GRADCAM)]
    while names:
        node = makers.get(names.pop())
        if node is not None and node.op_type in ("Gemm", "MatMul"):
            found.append(node.name)
        elif node is not None and node.op_type != "Conv":
            names.extend(node.input)
    return found


def separate_biases(model: onnx.ModelProto) -> list[str]:
    """Makes a Gemm without a bias and an Add of each Gemm but the last, and returns the names of the new nodes."""
    graph, added = model.graph, []
    head = head_layers(graph)
    for index, node in reversed([*enumerate(graph.node)]):
        if node.op_type == "Gemm" and len(node.input) == 3 and node.name not in head:
            (output,), product = node.output, f"{node.output[0]}_product"
            name = f"{node.name}_bias"
            graph.node.insert(index + 1, onnx.helper.make_node("Add", [product, node.input.pop()], [output], name))
            graph.node[index].output[0] = product
            added.append(name)
    return added


def inferred_shapes(model: onnx.ModelProto) -> Iterator[tuple[str, list[int]]]:
    """Yields the names of tensors and their shapes, as far as ONNX can tell, with 0 for a free axis."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            yield value.name, [dim.dim_value for dim in value.type.tensor_type.shape.dim]
