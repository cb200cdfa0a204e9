"""Keras' optimizers: SGD on TensorFlow's own kernel, one operation per weight instead of five; Muon on convolution kernels."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_resnet._keras_internals import MuonForChosenVariables, momentum_slot

from ..recipes import Recipe


class SGD(keras.optimizers.SGD):
    """`keras.optimizers.SGD` with momentum: the same numbers and slots, in one fused update, which also traces faster."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=momentum_slot(self, variable).value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class Muon(MuonForChosenVariables):
    """`keras.optimizers.Muon` for convolutions: a kernel is a matrix with a column per filter; all else takes Adam's step.

    Kernels in a stack, (units, k, k, in, out), are as many matrices, each with a step of its own.

    The step of a matrix is its momentum with singular values near 1 (Jordan et al. 2024, kellerjordan.github.io/posts/muon),
    scaled as in Liu et al. 2025, arXiv:2502.16982. Keras' Muon does this for 2-D weights only; here those are the last layer's.
    """

    def uses_adam(self, variable: keras.Variable) -> bool:
        return len(variable.shape) < 4

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        *units, _, _, _, filters = x.shape
        matrices = keras.ops.reshape(x, (*units, -1, filters))
        return keras.ops.reshape(super().zeropower_via_newtonschulz5(matrices, steps), x.shape)

    def lr_adjust(self, x: Any) -> Any:
        *_, height, width, channels, filters = x.shape
        return x * math.sqrt(max(height * width * channels, filters)) * self.rms_rate


def make_optimizer(
    recipe: Recipe, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    """Makes the recipe's optimizer. Weight decay, clipping and averaging are left to `WeightUpdate`, after the reduction."""
    rate: Any = learning_rate  # Keras' default is a float, but a schedule will do
    if recipe.optimizer == "adamw":
        return keras.optimizers.Adam(rate, beta_1=recipe.momentum)
    if recipe.optimizer == "muon":
        return Muon(rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    return SGD(rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
