"""From TensorFlow's graph to ONNX's, by tf2onnx."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import onnx

from keras_resnet._tf2onnx_internals import convert_function
from keras_resnet.errors import UserError, comma_join

from ..format import INPUT
from .dense import rewrite_dense_layers

LAST_OPSET = 17  # tf2onnx knows 18 too, but leaves the head's mean in NHWC there, after a Transpose


def convert(serve: Any, opset: int) -> onnx.ModelProto:
    """Converts a serving function to an ONNX model that takes pixels (N, C, H, W), and has nothing to transpose.

    Raises:
        UserError: For a network that ONNX has no operators for.
    """
    function = serve.get_concrete_function()
    outputs = list(function.structured_outputs)
    tensors = dict(zip(sorted(outputs), function.outputs, strict=True))
    names = {f"{INPUT}:0": INPUT, **{tensors[name].name: name for name in outputs}}
    with no_logging():
        proto = convert_function(
            function, names, min(opset, LAST_OPSET), [pool_without_pad], f"{comma_join(outputs)} of {INPUT}"
        )
    unknown = sorted({node.op_type for node in proto.graph.node if not onnx.defs.has(node.op_type)})
    if unknown:
        raise UserError(
            f"tf2onnx cannot express {comma_join(unknown)}: "
            "this network cannot be converted to ONNX; leave onnx out of --formats"
        )
    rewrite_dense_layers(proto)
    return proto if opset <= LAST_OPSET else onnx.version_converter.convert_version(proto, opset)


@contextlib.contextmanager
def no_logging() -> Iterator[None]:
    """Suppresses the line that tf2onnx logs for every operation that it does not know."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)


def pool_without_pad(graph: Any, nodes: list[Any]) -> list[Any]:
    """Lets a maximum after a ReLU pad itself, with minus infinity: zeros make no difference there.

    A Pad in between costs ONNX Runtime two changes of layout of ResNet-50's largest feature map, 1 % of its time.

    Args:
        graph: tf2onnx' graph.
        nodes: All of its nodes.
    """
    for pool in nodes:
        pad = pool.inputs[0] if pool.type == "MaxPool" else None
        if pad is None or pad.type != "Pad" or pad.inputs[0].type != "Relu" or not pad.inputs[1].is_const():
            continue
        paddings = pad.inputs[1].get_tensor_value(as_list=False)
        if pool.get_attr_value("padding") == b"VALID" and (paddings.max(axis=1) < pool.get_attr_value("ksize")).all():
            pool.set_attr("padding", "EXPLICIT")
            pool.set_attr("explicit_paddings", paddings.flatten().tolist())
            graph.replace_input(pool, pool.input[0], pad.input[0], 0)
    return nodes


def transpose_pixels(graph: onnx.GraphProto) -> None:
    """Makes an ONNX graph on (N, C, H, W) one on (N, H, W, C), by a Transpose of the bytes.

    tf2onnx would put its own after the normalization, where it moves floats, and where a factor per channel takes longer to
    apply: 4 % of ResNet20V2's time, 1 % of ResNet-50's.
    """
    (pixels,) = graph.input
    batch, channels, height, width = (size.dim_value or None for size in pixels.type.tensor_type.shape.dim)
    shape = (batch, height, width, channels)
    pixels.CopyFrom(onnx.helper.make_tensor_value_info(INPUT, pixels.type.tensor_type.elem_type, shape))
    inside = f"{INPUT}_nchw"
    for node in graph.node:
        node.input[:] = [inside if name == INPUT else name for name in node.input]
    graph.node.insert(0, onnx.helper.make_node("Transpose", [INPUT], [inside], "transpose", perm=[0, 3, 1, 2]))
