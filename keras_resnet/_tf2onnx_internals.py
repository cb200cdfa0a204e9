"""Every use of tf2onnx' internal API, in one place: an upgrade breaks this file, and `tests/test_export_internals.py` says
where.

Written for tf2onnx 1.17.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import onnx
import tensorflow as tf


def convert_function(
    function: Any, names: dict[str, str], opset: int, rewriters: Sequence[Callable[[Any, list], list]], description: str
) -> onnx.ModelProto:
    """Converts a concrete function with one input, which becomes (N, C, H, W).

    Missing: a way to have `tf2onnx.convert.from_function` optimize the graph without a copy of it before each of its 36
    optimizations, which take half of the memory and a third of the time.

    Args:
        function: The `tf.ConcreteFunction`.
        names: The input's name in the file and those of the outputs, by the names of their tensors, in this order.
        opset: At most 18.
        rewriters: Functions of tf2onnx' graph and its nodes, to its nodes.
        description: What the file says about its graph.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
        from tf2onnx import optimizer, tf_loader, tfonnx
    inputs, outputs = list(names)[:1], list(names)[1:]
    with tf.device("CPU"):
        frozen = tf_loader.from_function(function, inputs, outputs)
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(frozen, name="")
            converted = tfonnx.process_tf_graph(
                graph,
                opset=opset,
                input_names=inputs,
                output_names=outputs,
                tensors_to_rename=names,
                inputs_as_nchw=inputs,
                custom_rewriter=list(rewriters),
            )
            return optimizer.optimize_graph(converted, catch_errors=False).make_model(description)
