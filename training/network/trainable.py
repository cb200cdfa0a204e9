"""The network as a training step calls it: stem, stacks of units, head."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_resnet._keras_internals import seed_generators
from keras_resnet.graph import macs

from .condensed import CondensedRun
from .pointwise import use_matrix_products
from .unit_stack import UnitStack
from .weights import own_weights, to_numpy

# The least number of units that are a loop, by `TrainConfig.stack_units`; None: none are.
LOOPED_FROM: dict[str, int | None] = {"auto": 8, "on": 2, "off": None}

START_REMATERIALIZED_FROM = 64  # alike units in the first stage: a seventh of the memory for a thirtieth of the time


class TrainableNetwork:
    """A network whose alike units have their weights in stacks: (N, H, W, C) -> (N, classes).

    How the variables are laid out depends on the network alone, not on whether its units are looped: checkpoints fit both.

    Args:
        model: the network with one unit for each run, up to the logits. What is frozen in it is frozen in all units.
        runs: of the units.
        looped_from: stacks of at least so many units are loops; None for none.
        rematerialize: see `UnitStack`.

    Attributes:
        weights: `NetworkWeight`s.
    """

    def __init__(
        self,
        model: keras.Model,
        runs: Sequence[CondensedRun] = (),
        *,
        looped_from: int | None = LOOPED_FROM["auto"],
        rematerialize: bool = False,
    ) -> None:
        use_matrix_products(model)
        self.model = model
        self._stacks: list[UnitStack] = []
        for run in runs:
            looped = bool(looped_from) and len(run.specs) >= looped_from
            start = run.specs[0].stage == 1 and len(run.specs) >= START_REMATERIALIZED_FROM
            part = "all" if rematerialize else "start" if start else "none"
            self._stacks.append(UnitStack(run, looped=looped, rematerialize=part))
        ends = [keras.Model(model.input, runs[0].entering), keras.Model(runs[-1].leaving, model.output)] if runs else [model]
        self._stem, *self._head = ends
        self.weights = own_weights(self._stem.layers)
        for stack in self._stacks:
            self.weights += stack.weights
        self.weights += [weight for end in self._head for weight in own_weights(end.layers)]
        self._seed_states = list(numbered_seed_states([self._stem, *self._stacks, *self._head]))

    @property
    def variables(self) -> list[keras.Variable]:
        """All weights and moving statistics."""
        return [weight.variable for weight in self.weights]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [variable for variable in self.variables if variable.trainable]

    @property
    def units_one_by_one(self) -> int:
        """The number of units that are traced, those in a loop counted once."""
        return sum(1 if stack.looped else stack.units for stack in self._stacks)

    @property
    def macs(self) -> int:
        """The multiply-adds of the whole network, for one image."""
        ends = [self._stem, *self._head]
        return sum(map(macs, ends)) + sum(stack.units * macs(stack.unit) for stack in self._stacks)

    def __call__(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        x = self._stem(images, training=training)
        for stack in self._stacks:
            x = stack(x, training)
        for head in self._head:
            x = head(x, training=training)
        return x

    def set_seeds(self, seed: int, count: tf.Tensor) -> None:
        """Makes the random numbers of the next call a function of two numbers, of which `count` is an int64 scalar."""
        for state, numbers in self._seed_states:
            seeds = tf.constant((seed * 1_000_003 + numbers) % 2**32)
            state.assign(tf.cast(tf.stack([seeds, tf.fill(seeds.shape, count)], axis=-1), state.dtype))

    def copy_to(self, model: keras.Model) -> None:
        """Gives the weights to the whole network, whose layers are found by name."""
        layers = {layer.name: layer for layer in model.layers}
        for weight in self.weights:
            for name, value in zip(weight.layer_names, weight.values(), strict=True):
                assign_if_different(layers[name].weights[weight.index], value)

    def copy_from(self, model: keras.Model) -> None:
        """Takes the weights of the whole network. What is the same already stays, also where replicas differ."""
        layers = {layer.name: layer for layer in model.layers}
        for weight in self.weights:
            values = np.stack([to_numpy(layers[name].weights[weight.index]) for name in weight.layer_names])
            assign_if_different(weight.variable, values.reshape(weight.variable.shape))


def assign_if_different(variable: keras.Variable, value: np.ndarray) -> None:
    if not np.array_equal(to_numpy(variable), value, equal_nan=True):
        variable.assign(value)


def numbered_seed_states(parts: Sequence[keras.Model | UnitStack]) -> Iterator[tuple[keras.Variable, np.ndarray]]:
    """Yields the states of all seed generators, (2,) or (units, 2), with their numbers in the whole network, () or (units,)."""
    begin = 0
    for part in parts:
        stacked = isinstance(part, UnitStack)
        states = part.seed_states if stacked else [generator.state for generator in seed_generators(part)]
        units = np.arange(part.units) if stacked else np.array(0)
        for offset, state in enumerate(states):
            yield state, begin + offset + len(states) * units
        begin += len(states) * units.size
