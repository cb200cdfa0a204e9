"""Runs a model call by call, and lets others look at tensors and stand in for calls on the way.

One pass serves all units: a model with an output for each of 333 units would be built, and kept, for minutes.
"""

import collections
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_resnet import _keras_internals
from keras_resnet.errors import UserError

from .network import Network

Tap = Callable[[Any], Any]  # gets the value of a tensor and returns the one to go on with


class Forward:
    """One pass through the model, layer by layer, at once and not as a compiled function.

    To be called inside `autodiff.unchanged` or `autodiff.differentiate`, so that nothing of the model changes.

    Attributes:
        live: the number of values made so far that calls other than the one at work are still to read.
        largest: the number of elements of the largest value so far.
    """

    def __init__(
        self,
        network: Network,
        *,
        training: bool = False,
        taps: Mapping[int, Tap] | None = None,
        replaced: Mapping[int, Callable[..., Any]] | None = None,
    ) -> None:
        """Prepares a pass.

        Args:
            network: whose model runs.
            training: batch statistics and dropout, as in training.
            taps: by the `id` of a Keras tensor.
            replaced: by the `id` of a call of the graph, what is called in place of its operation.
        """
        self.network = network
        self.training = training
        self.taps = {} if taps is None else taps  # the caller may go on filling them
        self.replaced = {} if replaced is None else replaced
        self.largest = 0
        self._frames: list[dict[int, Any]] = []
        self._seen: set[int] = set()

    @property
    def live(self) -> int:
        return sum(map(len, self._frames))

    def __call__(self, images: Any) -> Any:
        """The model's first output for a batch of images, (N, H, W, C)."""
        self._frames.clear()
        self._seen.clear()
        return self._run(self.network.model, [keras.ops.convert_to_tensor(images)])[0]

    def _run(self, model: Any, inputs: list[Any]) -> list[Any]:
        """All outputs of a functional model. A value goes with its last reader: all of them may not fit."""
        if id(model) in self._seen and model is self.network.inner:
            raise UserError(f"{self.network.name} calls {model.name} more than once")
        self._seen.add(id(model))
        calls = list(_keras_internals.graph_calls(model))
        readers = collections.Counter(
            id(tensor) for call in calls for tensor in {id(t): t for t in call.input_tensors}.values()
        )
        readers.update(id(tensor) for tensor in model.outputs)
        values: dict[int, Any] = {}
        self._frames.append(values)
        for tensor, value in zip(model.inputs, inputs, strict=True):
            values[id(tensor)] = self._tapped(tensor, value)
        for call in calls:
            args, kwargs = call.arguments.fill_in(values)
            for key in {id(tensor) for tensor in call.input_tensors}:
                readers[key] -= 1
                if not readers[key]:
                    del values[key]
            outputs = self._call(call, args, kwargs)
            del args, kwargs
            for tensor, value in zip(call.outputs, outputs, strict=True):
                if readers[id(tensor)]:
                    values[id(tensor)] = self._tapped(tensor, value)
        self._frames.pop()
        return [values[id(tensor)] for tensor in model.outputs]

    def _tapped(self, tensor: keras.KerasTensor, value: Any) -> Any:
        self.largest = max(self.largest, math.prod(value.shape))
        tap = self.taps.get(id(tensor))
        return value if tap is None else tap(value)

    def _call(self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        operation = call.operation
        if id(call) in self.replaced:
            return keras.tree.flatten(self.replaced[id(call)](*args, **kwargs))
        if not isinstance(operation, keras.Layer):
            return keras.tree.flatten(operation(*args, **kwargs))
        training = kwargs.pop("training", None)  # what the graph says, such as False for a frozen network, goes first
        training = self.training if training is None else training
        graph: Any = _keras_internals.functional_part(operation)
        if not _keras_internals.is_functional(graph):
            return keras.tree.flatten(operation(*args, **kwargs, training=training))
        outside, self.training = self.training, training
        try:
            return self._run(graph, keras.tree.flatten(args))
        finally:
            self.training = outside
