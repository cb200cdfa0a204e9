"""Gradients with respect to weights and to values on the way, in one backward pass, on each of Keras' backends."""

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet.errors import UserError

Watch = Callable[[Hashable, Any], Any]  # gets a key and a value, and returns the value to go on with
Program = Callable[[Watch], Any]  # computes a scalar and shows the values to the function that it gets


@dataclasses.dataclass(frozen=True)
class Gradients:
    """A scalar and its gradients. Where it does not depend on something, that gradient is None.

    Attributes:
        result: the scalar.
        of_weights: by position.
        of_values: by the key of the value that the program showed.
    """

    result: float
    of_weights: list[Any]
    of_values: dict[Hashable, Any]


def differentiate(program: Program, weights: Sequence[keras.Variable] = ()) -> Gradients:
    """Runs a program once and differentiates its result by the weights and by all values that it shows.

    Raises:
        UserError: on a backend without gradients.
    """
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise UserError(f"gradients are there on {' and '.join(BACKENDS)}; this backend is {backend}: set KERAS_BACKEND")
    return BACKENDS[backend](program, [weight.value for weight in weights])


def differentiate_in_tensorflow(program: Program, weights: list[Any]) -> Gradients:
    import tensorflow as tf

    values: dict[Hashable, Any] = {}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)

        def watch(key: Hashable, value: Any) -> Any:
            tape.watch(value)
            values[key] = value
            return value

        result = program(watch)
    sources: Any = [weights, values]
    of_weights, of_values = tape.gradient(result, sources)
    return Gradients(float(result), of_weights, of_values)


def differentiate_in_torch(program: Program, weights: list[Any]) -> Gradients:
    import torch

    values: dict[Hashable, Any] = {}

    def watch(key: Hashable, value: Any) -> Any:
        values[key] = value if value.requires_grad else value.detach().requires_grad_()
        return values[key]

    with torch.enable_grad():
        result = program(watch)
        found = torch.autograd.grad(result, [*weights, *values.values()], allow_unused=True)
    of_values = dict(zip(values, found[len(weights) :], strict=True))
    return Gradients(float(result), list(found[: len(weights)]), of_values)


BACKENDS = {"tensorflow": differentiate_in_tensorflow, "torch": differentiate_in_torch}


def norm(values: Any) -> float:
    """The L2 norm of all numbers in some tensors, summed in double precision; of none, 0."""
    return float(np.sqrt(sum(sum_of_squares(value) for value in values if value is not None)))


def root_mean_square(value: Any) -> float:
    """The L2 norm divided by the root of the number of elements, so that feature maps of other sizes compare."""
    return float(np.sqrt(sum_of_squares(value) / max(1, np.prod(value.shape)))) if value is not None else 0.0


def sum_of_squares(value: Any) -> float:
    return float(np.square(to_numpy(value), dtype=np.float64).sum())


def to_numpy(value: Any) -> np.ndarray:
    """A tensor of any backend as an array, without its history."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.stop_gradient(value)))
