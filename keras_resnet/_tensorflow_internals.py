"""Every use of TensorFlow's private API: an upgrade breaks this file only, and `tests/test_internals.py` says where.

Each function says which public API is missing. Written for TensorFlow 2.21.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.data.ops import multi_device_iterator_ops

__all__ = [
    "ConverterError",
    "checkpoint_names",
    "device_buffers_without_autotuning",
    "graphs_of_function",
    "maybe_merge_call",
]  # ConverterError is raised publicly, but exported nowhere


def maybe_merge_call(function: Callable, strategy: tf.distribute.Strategy, *arguments: Any) -> Any:
    """Calls `function(strategy, *arguments)` in cross-replica context where the strategy needs that, else where we are.

    Missing: `ReplicaContext.merge_call` always switches, which costs a thread per replica; Keras' optimizers use this as well.
    """
    return tf.__internal__.distribute.interim.maybe_merge_call(function, strategy, *arguments)


def graphs_of_function(function: Any) -> list[tf.Graph]:
    """Lists the graph of a concrete function and those of all functions that it calls.

    Missing: `tf.Graph.get_operations` stops at calls, and `as_graph_def().library` of a large model copies all its weights.
    """
    graph = function.graph
    return [graph, *(graph._get_function(name).graph for name in graph._functions)]


def checkpoint_names(object_graph: bytes) -> dict[str, str]:
    """The names that variables had by their keys in a checkpoint of TensorFlow 2, from its object graph.

    Missing: `tf.train.load_checkpoint` knows the keys only, which are the attributes on the way to a variable.
    """
    graph = TrackableObjectGraph.FromString(object_graph)
    return {attribute.checkpoint_key: attribute.full_name for node in graph.nodes for attribute in node.attributes}


@contextlib.contextmanager
def device_buffers_without_autotuning() -> Iterator[None]:
    """Inside, the datasets that `tf.distribute` puts between a dataset and each device have fixed buffers.

    They have the default options, whatever the dataset's own are, and hold one batch each: there is nothing to tune. But the
    thread that would tune them sleeps for up to a minute at a time, and an iterator waits for it when it is deleted.

    Missing: options of those datasets; those of `tf.distribute.InputOptions` set their sizes only.
    """
    create, options = multi_device_iterator_ops._create_device_dataset, tf.data.Options()
    options.autotune.enabled = False

    def create_with_options(*arguments: Any, **named: Any) -> Any:
        return create(*arguments, **named).with_options(options)

    multi_device_iterator_ops._create_device_dataset = create_with_options
    try:
        yield
    finally:
        multi_device_iterator_ops._create_device_dataset = create
