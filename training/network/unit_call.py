"""A unit as a function of its weights, so that one unit can stand for many: computed once, or again for its gradient."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_resnet._keras_internals import run_through_graph, seed_generators
from keras_resnet.models.naming import DROP_PATH, UnitLayer, sublayer

from ..optim.ema import is_moving_statistic
from .condensed import CondensedRun

State = Mapping[str, Any]  # tensors: the values of variables, by their paths
Outputs = tuple[Any, dict[str, Any]]
BATCH_NORM_GRADIENT = "FusedBatchNormWithoutReserve"


class UnitCall:
    """A functional model, called on values for its variables.

    Args:
        model: its layers are those of a unit, or some of them.
        training: whether normalizations measure, and dropout drops.
        rematerialize: whether what it computes is computed again for its gradient, instead of being kept until then (Chen et
            al. 2016, arXiv:1604.06174).

    Attributes:
        measured: the moving statistics that a call adds to.
    """

    def __init__(self, model: keras.Model, training: bool, rematerialize: bool = False) -> None:
        self._model, self._training, self._rematerialize = model, training, rematerialize and training
        self._generators = seed_generators(model)
        self.measured = measured_variables(model) if training else []
        measured = {variable.path for variable in self.measured}
        self._given = [variable for variable in model.weights if variable.path not in measured]

    def __call__(self, inputs: Sequence[tf.Tensor], state: State, drop_rate: tf.Tensor) -> Outputs:
        """Returns the output, and what the call adds to each moving statistic."""
        if not self._rematerialize:
            return self._run(inputs, state, drop_rate)
        trained = [variable.path for variable in self._given if variable.trainable]
        statistics: list[str] = []

        @tf.custom_gradient
        def run(*values: tf.Tensor) -> Any:
            def compute(values: Sequence[Any]) -> Outputs:
                weights = dict(zip(trained, values[len(inputs) :], strict=True))
                return self._run(values[: len(inputs)], {**state, **weights}, drop_rate)

            def gradient(dy: Any, *_statistics: tf.Tensor) -> Any:
                with tf.control_dependencies([dy]):  # not before
                    kept = [tf.identity(value) for value in values]  # the tape would follow `values` to where they were kept
                    with tf.GradientTape() as tape:
                        tape.watch(kept)
                        again, _ = compute(kept)
                return tape.gradient(again, kept, dy)

            outputs, added = compute(values)
            statistics.extend(added)
            return (outputs, *added.values()), gradient

        y, *tensors = run(*inputs, *(state[path] for path in trained))
        return y, dict(zip(statistics, tensors, strict=True))

    def _run(self, inputs: Sequence[tf.Tensor], state: State, drop_rate: tf.Tensor) -> Outputs:
        mapping: list[Any] = [(variable, state[variable.path]) for variable in self._given]
        mapping += [(variable, tf.zeros(variable.shape)) for variable in self.measured]
        mapping += [(generator.state, state[generator.state.path]) for generator in self._generators]
        with keras.StatelessScope(state_mapping=mapping) as scope, batch_norm_gradient():
            y = run_through_graph(self._model, [*inputs], functools.partial(self._operation, drop_rate))
        added = {variable.path: scope.get_current_value(variable) for variable in self.measured}
        return y, {path: tf.stop_gradient(value) for path, value in added.items()}

    def _operation(self, drop_rate: tf.Tensor, layer: Any) -> Callable[..., Any]:
        """What is called in place of a layer, also with the options that it was built with: for dropouts, training=False."""
        parsed = UnitLayer.parse(layer.name)
        if parsed and parsed.operation == DROP_PATH:
            return lambda x, **_: drop_path(x, drop_rate, layer.seed_generator) if self._training else x
        if isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Dropout)):
            return lambda x, **options: layer(x, **{**options, "training": self._training})
        return layer


@dataclasses.dataclass(frozen=True)
class SplitUnitCall:
    """A unit called in two halves: `start` gives the second input of `rest`."""

    start: UnitCall
    rest: UnitCall

    @property
    def measured(self) -> list[keras.Variable]:
        return [*self.start.measured, *self.rest.measured]

    def __call__(self, inputs: Sequence[tf.Tensor], state: State, drop_rate: tf.Tensor) -> Outputs:
        y, added = self.start(inputs, state, drop_rate)
        y, more = self.rest([*inputs, y], state, drop_rate)
        return y, added | more


def drop_path(x: tf.Tensor, rate: tf.Tensor, generator: keras.random.SeedGenerator) -> tf.Tensor:
    """What `models.layers.drop_path` does, with the same random numbers, at a rate that is a tensor: Keras' takes numbers."""
    rate = tf.cast(rate, x.dtype)
    kept: Any = keras.random.uniform((tf.shape(x)[0], 1, 1, 1), dtype=x.dtype.name, seed=generator) >= rate
    return tf.where(kept, x * (1 / (1 - rate)), tf.zeros_like(x))  # TensorFlow divides by constants in this way too


def split_after_first_convolution(run: CondensedRun) -> tuple[keras.Model, keras.Model] | None:
    """Splits a unit into what is before its first convolution with that, and the rest, which reads the skip path too.

    None where the rest reads something in between.
    """
    (first,) = (layer for layer in run.unit.layers if layer.name == sublayer(run.specs[0].name, "conv1"))
    convolved = first.output
    start = keras.Model(run.entering, convolved)
    rest = keras.Model([run.entering, convolved], run.leaving)
    names = [{layer.name for layer in half.layers if UnitLayer.parse(layer.name)} for half in (start, rest)]
    return None if names[0] & names[1] else (start, rest)


def measured_variables(model: keras.Model) -> list[keras.Variable]:
    """The moving statistics that a call in training changes."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    return [variable for norm in norms for variable in norm.weights if is_moving_statistic(variable)]


def batch_norm_gradient() -> Any:
    """Inside, on CPUs, the gradient of a fused batch normalization in a loop does not keep what only GPUs use for it.

    oneDNN has there which values its fused ReLU let through, a twentieth of all that is kept.
    """
    on_gpu = tf.config.list_logical_devices("GPU")
    overrides = {} if on_gpu else {"FusedBatchNormV3": BATCH_NORM_GRADIENT}
    return tf.compat.v1.get_default_graph().gradient_override_map(overrides)


@tf.RegisterGradient(BATCH_NORM_GRADIENT)
def fused_batch_norm_gradient(operation: tf.Operation, dy: tf.Tensor, *_: Any) -> tuple:
    """Does what TensorFlow's gradient does, without the last reserve space of the forward kernel."""
    mean, variance = operation.outputs[3:5] if operation.get_attr("is_training") else operation.inputs[3:5]
    names = ("epsilon", "data_format", "is_training")
    outputs = tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=dy,
        x=operation.inputs[0],
        scale=operation.inputs[1],
        reserve_space_1=mean,
        reserve_space_2=variance,
        reserve_space_3=tf.zeros(0),
        **{name: operation.get_attr(name) for name in names},
    )
    return outputs.x_backprop, outputs.scale_backprop, outputs.offset_backprop, None, None
