"""Every use of TensorFlow's private API: an upgrade breaks this file only, and `tests/test_internals.py` says where.

Each function says which public API is missing. Written for TensorFlow 2.21.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

__all__ = [
    "ConverterError",
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
