"""From TensorFlow's graph to ONNX's, by tf2onnx."""

import contextlib
import logging
import warnings

import onnx
import tensorflow as tf

from keras_resnet.errors import UserError, comma_join

from ...serving import INPUT

LAST_OPSET = 17  # tf2onnx knows 18 too, but leaves the head's mean in NHWC there, behind a Transpose


def convert(serve, opset):
    """The ONNX model of a serving function, but from pixels (N, C, H, W), and with nothing to transpose.

    As `tf2onnx.convert.from_function`, except that no copy of the graph is made before each of its 36 optimisations: those
    take half of the memory and a third of the time. Raises a `UserError` for a network that ONNX has no operators for.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
        import tf2onnx
        from tf2onnx import tf_loader
    function = serve.get_concrete_function()
    (output,) = function.structured_outputs
    names = {f"{INPUT}:0": INPUT, function.outputs[0].name: output}
    inputs, outputs = ([name] for name in names)
    with tf.device("CPU"), no_logging():
        frozen = tf_loader.from_function(function, inputs, outputs)
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(frozen, name="")
            graph = tf2onnx.tfonnx.process_tf_graph(
                graph,
                opset=min(opset, LAST_OPSET),
                input_names=inputs,
                output_names=outputs,
                tensors_to_rename=names,
                inputs_as_nchw=inputs,
                custom_rewriter=[pool_without_pad],
            )
            proto = tf2onnx.optimizer.optimize_graph(graph, catch_errors=False).make_model(f"{output} of {INPUT}")
    unknown = sorted({node.op_type for node in proto.graph.node if not onnx.defs.has(node.op_type)})
    if unknown:
        raise UserError(
            f"tf2onnx has no way to express {comma_join(unknown)}: this network cannot become ONNX; --formats leaves that out"
        )
    return proto if opset <= LAST_OPSET else onnx.version_converter.convert_version(proto, opset)


@contextlib.contextmanager
def no_logging():
    """tf2onnx logs a line for every operation that it does not know, and goes on."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)


def pool_without_pad(graph, nodes):
    """Lets a maximum behind a ReLU pad itself, with minus infinity: zeros make no difference there.

    A Pad in between costs ONNX Runtime two changes of layout of ResNet-50's largest feature map, 1 % of its time.
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


def transpose_pixels(graph):
    """Makes an ONNX graph on (N, C, H, W) one on (N, H, W, C), by a Transpose of the bytes.

    tf2onnx's own would stand behind the normalisation, where it moves floats, and where a factor per channel takes longer to
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
