"""Units that are alike, with their weights stacked: they run one by one, or as a loop around one of them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_resnet._keras_internals import run_through_graph, seed_generators
from keras_resnet.models.condensed import CondensedRun
from keras_resnet.models.naming import DROP_PATH, sublayer

from ..optim.ema import is_moving_statistic
from .weights import NetworkWeight


class UnitValues(NamedTuple):
    """What one unit has of its own; with an axis of units in front, what all have.

    trained, constant: values of weights. seeds: states of the seed generators. drop_rate: of the unit's branch.
    """

    trained: list[tf.Tensor]
    constant: list[tf.Tensor]
    seeds: list[tf.Tensor]
    drop_rate: tf.Tensor


class UnitStack:
    """Units that are alike, one after another: (N, H, W, C) -> (N, H', W', C'). Training moves their moving statistics.

    Args:
        run: the units. What is frozen in the one that was built is frozen in all.
        looped: whether they are a `tf.while_loop`, which is traced, differentiated and compiled as one unit.
        rematerialize: whether what a unit computes is computed again for its gradient, instead of being kept until then (Chen
            et al. 2016, arXiv:1604.06174).

    Attributes:
        unit: the one that was built.
        units: how many there are.
        weights: theirs, stacked.
        seed_states: those of the unit's seed generators, each (units, 2).
    """

    def __init__(self, run: CondensedRun, *, looped: bool = False, rematerialize: bool = False) -> None:
        self._run, self.unit, self.units = run, run.unit, len(run.specs)
        self.looped, self._rematerialize = looped, rematerialize
        self.weights = [NetworkWeight.stacked(run, layer, index) for layer in run.unit.layers for index in range(len(layer.weights))]
        self._generators = seed_generators(run.unit)
        self.seed_states = [
            keras.Variable(np.zeros((self.units, 2)), dtype=generator.state.dtype, trainable=False, aggregation="none")
            for generator in self._generators
        ]

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        measured = [weight for weight in self.weights if training and is_measured(weight)]
        trained = [weight for weight in self.weights if weight.variable.trainable]
        constant = [weight for weight in self.weights if weight not in measured and weight not in trained]
        values = UnitValues(
            [tf.convert_to_tensor(weight.variable) for weight in trained],
            [tf.convert_to_tensor(weight.variable) for weight in constant],
            [tf.convert_to_tensor(variable) for variable in self.seed_states],
            tf.constant([spec.drop_rate for spec in self._run.specs]),
        )

        def call_unit(x: tf.Tensor, values: UnitValues) -> tuple[tf.Tensor, list[tf.Tensor]]:
            """Returns the output, and what the unit adds to each moving statistic."""
            state = [*zip(trained, values.trained, strict=True), *zip(constant, values.constant, strict=True)]
            state += [(weight, tf.zeros(weight.template.shape)) for weight in measured]
            mapping: list[Any] = [(weight.template, value) for weight, value in state]
            mapping += [(generator.state, seed) for generator, seed in zip(self._generators, values.seeds, strict=True)]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                y = run_through_graph(self.unit, x, functools.partial(self._operation, values.drop_rate, training))
            return y, [tf.stop_gradient(scope.get_current_value(weight.template)) for weight in measured]

        call = rematerialized(call_unit) if training and self._rematerialize else call_unit
        if self.looped:
            y, added = self._loop(call, x, values, [weight.template.shape[0] for weight in measured])
        else:
            y, added = self._one_by_one(call, x, values)
        for weight, statistic in zip(measured, added, strict=True):
            weight.variable.assign(weight.variable * weight.layer.momentum + statistic)
        return y

    def _operation(self, drop_rate: tf.Tensor, training: bool, layer: Any) -> Callable[[Any], Any]:
        """What is called in place of a layer of the unit."""
        if layer.name == sublayer(self.unit.name, DROP_PATH):
            dropout = functools.partial(keras.random.dropout, noise_shape=layer.noise_shape, seed=layer.seed_generator)
            return lambda x: dropout(x, tf.cast(drop_rate, x.dtype)) if training else x
        random_or_norm = isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Dropout))
        return functools.partial(layer, training=training) if random_or_norm else layer

    def _one_by_one(self, call: Callable, x: tf.Tensor, values: UnitValues) -> tuple[tf.Tensor, list[tf.Tensor]]:
        slices = UnitValues(*(tf.nest.map_structure(tf.unstack, each) for each in values))
        added = []
        for unit in range(self.units):
            x, statistics = call(x, UnitValues(*([every[unit] for every in each] for each in slices[:-1]), slices.drop_rate[unit]))
            added.append(statistics)
        return x, [tf.stack(each) for each in zip(*added, strict=True)]

    def _loop(
        self, call: Callable, x: tf.Tensor, values: UnitValues, widths: list[int]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loop takes the trained weights from lists, from the end: backwards, each turn adds an element to a list of gradients.

        Were they read by index, each turn would add up whole lists.
        """
        shapes = [value.shape[1:] for value in values.trained]
        lists = [
            tf.raw_ops.TensorListFromTensor(tensor=tf.reverse(value, [0]), element_shape=shape)
            for value, shape in zip(values.trained, shapes, strict=True)
        ]
        added = tf.TensorArray(tf.float32, size=self.units, element_shape=(sum(widths),))

        def body(unit: tf.Tensor, x: tf.Tensor, lists: list[tf.Tensor], added: tf.TensorArray) -> tuple:
            popped = [
                tf.raw_ops.TensorListPopBack(input_handle=each, element_shape=shape, element_dtype=tf.float32)
                for each, shape in zip(lists, shapes, strict=True)
            ]
            for pop, shape in zip(popped, shapes, strict=True):
                pop.tensor.set_shape(shape)
            own = UnitValues(
                [pop.tensor for pop in popped],
                [tf.stop_gradient(value[unit]) for value in values.constant],
                [value[unit] for value in values.seeds],
                tf.stop_gradient(values.drop_rate[unit]),
            )
            y, statistics = call(x, own)
            y.set_shape(x.shape)
            if statistics:
                added = added.write(unit, tf.concat(statistics, 0))
            return unit + 1, y, [pop.output_handle for pop in popped], added

        start = (tf.constant(0), x, lists, added)
        _, y, _, added = tf.while_loop(lambda unit, *_: unit < self.units, body, start, maximum_iterations=self.units)
        return y, tf.split(added.stack(), widths, axis=1) if widths else []


def is_measured(weight: NetworkWeight) -> bool:
    """Whether training measures this statistic."""
    norm = isinstance(weight.layer, keras.layers.BatchNormalization) and weight.layer.trainable
    return norm and is_moving_statistic(weight.variable)


def rematerialized(call_unit: Callable) -> Callable:
    """Makes the unit's gradient compute the unit again, once the gradient of its output is there."""

    def call(x: tf.Tensor, values: UnitValues) -> tuple[tf.Tensor, list[tf.Tensor]]:
        @tf.custom_gradient
        def run(x: tf.Tensor, *trained: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable]:
            def gradient(dy: tf.Tensor, *_: tf.Tensor) -> Sequence[tf.Tensor]:
                with tf.control_dependencies([dy]):
                    kept = [tf.identity(each) for each in (x, *trained)]  # outside of the tape, which would follow them into lists
                    with tf.GradientTape() as tape:
                        tape.watch(kept)
                        again, _ = call_unit(kept[0], values._replace(trained=kept[1:]))
                return tape.gradient(again, kept, dy)

            y, statistics = call_unit(x, values._replace(trained=list(trained)))
            return (y, *statistics), gradient

        y, *statistics = run(x, *values.trained)
        return y, statistics

    return call
