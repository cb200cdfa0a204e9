"""Gradients by weights and by values on the way, in one backward pass, on each of Keras' backends; the model stays as it is."""

import contextlib
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet.errors import UserError

Watch = Callable[[Hashable, Any], Any]  # gets a key and a value, and returns the value to go on with
Program = Callable[[Watch], Any]  # computes a scalar and shows values to the function that it gets


@dataclasses.dataclass(frozen=True, eq=False)
class Gradients:
    """A scalar and its gradients. Where it does not depend on something, that gradient is None.

    Attributes:
        result: the scalar.
        of_weights: by position.
        values: that the program showed, by their keys.
        of_values: the gradients by them, by the same keys.
    """

    result: float
    of_weights: list[Any]
    values: dict[Hashable, Any]
    of_values: dict[Hashable, Any]


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Runs a model without a trace: what norms and dropout write is dropped, and nothing is kept for a backward pass."""
    with contextlib.ExitStack() as stack:
        if keras.backend.backend() == "torch":
            import torch

            stack.enter_context(torch.no_grad())
        stack.enter_context(keras.StatelessScope())
        yield


def differentiate(program: Program, weights: Sequence[keras.Variable] = ()) -> Gradients:
    """Runs a program and differentiates its result by the weights and by all values that it shows.

    The program must not look at numbers, only compute with them: where the backend traces it, there are none yet.

    Raises:
        UserError: on a backend without gradients.
    """
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise UserError(f"Keras' backend is {backend}, which has no gradients here; those that do are {', '.join(BACKENDS)}")
    return BACKENDS[backend](program, weights)


def in_tensorflow(program: Program, weights: Sequence[keras.Variable]) -> Gradients:
    """On a tape that records what depends on the weights and values, and nothing else."""
    import tensorflow as tf

    values: dict[Hashable, Any] = {}
    of: Any = [weight.value for weight in weights]
    with tf.GradientTape(watch_accessed_variables=False) as tape, keras.StatelessScope():
        tape.watch(of)

        def watch(key: Hashable, value: Any) -> Any:
            tape.watch(value)
            values[key] = value
            return value

        result = program(watch)
    sources: Any = [of, list(values.values())]
    of_weights, of_values = tape.gradient(result, sources)
    return Gradients(float(result), of_weights, values, dict(zip(values, of_values, strict=True)))


def in_torch(program: Program, weights: Sequence[keras.Variable]) -> Gradients:
    """By `torch.autograd.grad`, which leaves the parameters' own `grad` alone."""
    import torch

    values: dict[Hashable, Any] = {}

    def watch(key: Hashable, value: Any) -> Any:
        values[key] = value if value.requires_grad else value.detach().requires_grad_()
        return values[key]

    with torch.enable_grad(), keras.StatelessScope():
        result = program(watch)
        found = torch.autograd.grad(result, [*(weight.value for weight in weights), *values.values()], allow_unused=True)
    of_values = dict(zip(values, found[len(weights) :], strict=True))
    return Gradients(float(result.detach()), list(found[: len(weights)]), values, of_values)


def in_jax(program: Program, weights: Sequence[keras.Variable]) -> Gradients:
    """By a function of the weights and of what is added to each value: zeros, whose shapes a first, abstract run finds."""
    import jax

    def run(of: list[Any], added: dict[Hashable, Any]) -> tuple[Any, dict[Hashable, Any]]:
        values: dict[Hashable, Any] = {}

        def watch(key: Hashable, value: Any) -> Any:
            values[key] = value + added[key] if key in added else value
            return values[key]

        with keras.StatelessScope(state_mapping=list(zip(weights, of, strict=True))):
            return program(watch), values

    of = [weight.value for weight in weights]
    _, shapes = jax.eval_shape(run, of, {})
    zeros = jax.tree.map(lambda value: jax.numpy.zeros(value.shape, value.dtype), shapes)
    (result, values), (of_weights, of_values) = jax.value_and_grad(run, argnums=(0, 1), has_aux=True)(of, zeros)
    return Gradients(float(result), of_weights, values, of_values)


BACKENDS = {"tensorflow": in_tensorflow, "torch": in_torch, "jax": in_jax}


def to_numpy(value: Any) -> np.ndarray:
    """A tensor of any backend as an array, without its history."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.stop_gradient(value)))
