"""Every use of Keras' private API: an upgrade of Keras breaks this file only, and `tests/test_internals.py` says where.

Each function says which public API is missing. Written for Keras 3.14 and 3.15.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.backend.common import global_state


def forget_uninitialized_variables() -> None:
    """Drops the variables whose creation a `keras.StatelessScope` deferred and that must not be created after all.

    Missing: a way to leave the scope without creating them. Keras would try again at the end of the next scope.
    """
    global_state.set_global_attribute("uninitialized_variables", [])


def producer(tensor: keras.KerasTensor) -> Any:
    """Finds the layer or operation that made a Keras tensor.

    Missing: `KerasTensor` has no public link to its history, though `keras.Model` walks it.
    """
    return tensor._keras_history.operation  # pyright: ignore[reportAttributeAccessIssue]


def producer_inputs(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Lists the Keras tensors that were passed to the call which made `tensor`.

    Missing: `layer.input` is that of the first call only, and raises where there are several.
    """
    operation, index, _ = tensor._keras_history  # pyright: ignore[reportAttributeAccessIssue]
    return operation._inbound_nodes[index].input_tensors


def operation_kind(operation: Any) -> str:
    """The name of the class behind a function of `keras.ops` that was called on a Keras tensor, "Softmax"; "" for others.

    Missing: those classes are not public.
    """
    return type(operation).__name__ if type(operation).__module__.startswith("keras.src.ops.") else ""


def input_names(layer: keras.Layer) -> list[str]:
    """Lists the names of the layers whose outputs a layer of a functional model reads. Missing: see `producer`."""
    return [producer(tensor).name for tensor in keras.tree.flatten(layer.input)]


def was_called(layer: keras.Layer) -> bool:
    """Tells whether a layer was already called on a Keras tensor. Missing: `layer.output` raises if it was not."""
    return bool(layer._inbound_nodes)


def tensors_read(operation: Any) -> list[keras.KerasTensor]:
    """Lists all Keras tensors that an operation was ever called on. Missing: `layer.input` raises after several calls."""
    return [tensor for node in operation._inbound_nodes for tensor in node.input_tensors]


def all_layers(model: keras.Layer) -> list[keras.Layer]:
    """Lists the model, its layers, and those inside them, wrappers included. Missing: `Model.layers` has the outermost only."""
    return list(model._flatten_layers())


def is_functional(model: Any) -> bool:
    """Tells whether a model is a graph of operations. Missing: `keras.Model` returns a private class for such models."""
    return hasattr(model, "_nodes_by_depth")


def graph_calls(model: keras.Model) -> Iterator[Any]:
    """Yields the calls of a functional model in topological order: `operation`, `input_tensors`, `outputs`, `arguments`.

    Missing: `Model.operations` has each operation once, not each of its calls.
    """
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if node.input_tensors)


def functional_part(layer: Any) -> Any:
    """Finds the graph inside a model: itself, or what a Sequential model keeps inside. Missing: a public view of the latter."""
    return getattr(layer, "_functional", None) or layer


def run_through_graph(model: Any, inputs: Any, operation_fn: Callable[[Any], Callable]) -> Any:
    """Calls a functional model with `operation_fn(operation)` in place of each operation.

    Missing: `keras.models.clone_model(call_function=)` does it for the outermost model only.
    """
    return model._run_through_graph(inputs, operation_fn=operation_fn)


def seed_generators(model: keras.Layer) -> list[keras.random.SeedGenerator]:
    """Lists the seed generators of all layers of a model, each once. Missing: layers track them, but do not list them."""
    found = {id(g): g for layer in all_layers(model) for g in getattr(layer, "_seed_generators", ())}
    return list(found.values())


def momentum_slot(optimizer: keras.optimizers.SGD, variable: Any) -> keras.Variable:
    """The momentum that an SGD keeps for a variable. Missing: `optimizer.variables` does not say which is whose."""
    return optimizer.momentums[optimizer._get_variable_index(variable)]


class MuonForChosenVariables(keras.optimizers.Muon):
    """`keras.optimizers.Muon` with a public method for subclasses that decides which variables take Adam's step instead.

    Missing: `exclude_layers` can only add to what Keras excludes, which is everything but matrices.
    """

    def uses_adam(self, variable: keras.Variable) -> bool:
        return super()._should_use_adamw(variable)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return self.uses_adam(variable)
