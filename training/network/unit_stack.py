"""Units that are alike, with their weights stacked: they run one by one, or as a loop around one of them."""

from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from keras_resnet._keras_internals import seed_generators

from .condensed import CondensedRun
from .unit_call import Outputs, SplitUnitCall, State, UnitCall, split_after_first_convolution
from .weights import NetworkWeight

Rematerialize = Literal["all", "start", "none"]


class UnitStack:
    """Units that are alike, one after another: (N, H, W, C) -> (N, H', W', C'). Training moves their moving statistics.

    Args:
        run: the units. What is frozen in the one that was built is frozen in all.
        looped: whether they are a `tf.while_loop`, which is traced, differentiated and compiled as one unit.
        rematerialize: what is computed again for its gradient, see `UnitCall`: "all" of each unit; the "start", which is its
            first convolution with what only that reads before it; or "none".

    Attributes:
        unit: the one that was built.
        units: how many there are.
        weights: theirs, stacked.
        seed_states: those of the unit's seed generators, each (units, 2).
    """

    def __init__(self, run: CondensedRun, *, looped: bool = False, rematerialize: Rematerialize = "none") -> None:
        self.unit, self.units, self.looped = run.unit, len(run.specs), looped
        self._rematerialize = rematerialize
        self._halves = split_after_first_convolution(run) if rematerialize == "start" else None
        self.weights = [
            NetworkWeight.stacked(run, layer, index) for layer in run.unit.layers for index in range(len(layer.weights))
        ]
        generators = seed_generators(run.unit)
        self.seed_states = [
            keras.Variable(np.zeros((self.units, 2)), dtype=generator.state.dtype, trainable=False, aggregation="none")
            for generator in generators
        ]
        self._seed_paths = [generator.state.path for generator in generators]
        self._drop_rates = [spec.drop_rate for spec in run.specs]

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        call = self._call(training)
        measured = {variable.path for variable in call.measured}
        stacked = {weight.template.path: tf.convert_to_tensor(weight.variable) for weight in self.weights}
        seeds = zip(self._seed_paths, self.seed_states, strict=True)
        stacked |= {path: tf.convert_to_tensor(variable) for path, variable in seeds}
        state = {path: value for path, value in stacked.items() if path not in measured}
        y, added = (self._loop if self.looped else self._one_by_one)(call, x, state)
        for weight in self.weights:
            if weight.template.path in added:
                weight.variable.assign(weight.variable * weight.layer.momentum + added[weight.template.path])
        return y

    def _call(self, training: bool) -> UnitCall | SplitUnitCall:
        if self._halves:
            start, rest = self._halves
            return SplitUnitCall(UnitCall(start, training, rematerialize=True), UnitCall(rest, training))
        return UnitCall(self.unit, training, self._rematerialize == "all")

    def _one_by_one(self, call: UnitCall | SplitUnitCall, x: tf.Tensor, state: State) -> Outputs:
        unstacked = {path: tf.unstack(value) for path, value in state.items()}
        added = []
        for unit, drop_rate in enumerate(self._drop_rates):
            own = {path: values[unit] for path, values in unstacked.items()}
            x, statistics = call([x], own, tf.constant(drop_rate))
            added.append(statistics)
        return x, {path: tf.stack([statistics[path] for statistics in added]) for path in added[0]}

    def _loop(self, call: UnitCall | SplitUnitCall, x: tf.Tensor, state: State) -> Outputs:
        """The loop takes trained weights from the ends of lists: backwards, each turn adds its gradients to the ends of others.

        Were they read by index, each turn would add up whole lists of gradients.
        """
        trained = {weight.template.path: weight.template.shape for weight in self.weights if weight.variable.trainable}
        widths = {variable.path: variable.shape[0] for variable in call.measured}
        drop_rates = tf.constant(self._drop_rates)
        lists = [
            tf.raw_ops.TensorListFromTensor(tensor=tf.reverse(state[path], [0]), element_shape=shape)
            for path, shape in trained.items()
        ]
        added = tf.TensorArray(tf.float32, size=self.units, element_shape=(sum(widths.values()),))

        def body(unit: tf.Tensor, x: tf.Tensor, lists: list[tf.Tensor], added: tf.TensorArray) -> tuple:
            own, rest = {path: tf.stop_gradient(value[unit]) for path, value in state.items() if path not in trained}, []
            for (path, shape), weights in zip(trained.items(), lists, strict=True):
                popped = tf.raw_ops.TensorListPopBack(input_handle=weights, element_shape=shape, element_dtype=tf.float32)
                own[path] = popped.tensor
                own[path].set_shape(shape)
                rest.append(popped.output_handle)
            y, statistics = call([x], own, tf.stop_gradient(drop_rates[unit]))
            y.set_shape(x.shape)
            if widths:
                added = added.write(unit, tf.concat([statistics[path] for path in widths], 0))
            return unit + 1, y, rest, added

        start = (tf.constant(0), x, lists, added)
        _, y, _, added = tf.while_loop(lambda unit, *_: unit < self.units, body, start, maximum_iterations=self.units)
        split = tf.split(added.stack(), [*widths.values()], axis=1) if widths else []
        return y, dict(zip(widths, split, strict=True))
