"""Dense layers as every reader of ONNX expects them: Flatten and Gemm.

tf2onnx writes a head as Squeeze, MatMul and Add. OpenCV reads that as (N, 1, classes), and its classic engine gives wrong
numbers for more than one image. ONNX Runtime, OpenVINO and ncnn run both spellings alike, and equally fast.
"""

from collections.abc import Iterator

import onnx

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


def inferred_shapes(model: onnx.ModelProto) -> Iterator[tuple[str, list[int]]]:
    """Yields the names of tensors and their shapes, as far as ONNX can tell, with 0 for a free axis."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            yield value.name, [dim.dim_value for dim in value.type.tensor_type.shape.dim]
