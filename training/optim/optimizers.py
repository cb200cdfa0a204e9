"""Keras' optimizers: its SGD on TensorFlow's own kernel, one operation for each weight instead of five; its Muon on kernels."""

import math

import keras
import tensorflow as tf


class SGD(keras.optimizers.SGD):
    """`keras.optimizers.SGD` with momentum: the same numbers and slots, in one fused update, which also traces faster."""

    def update_step(self, gradient, variable, learning_rate):
        if not self.momentum:
            return super().update_step(gradient, variable, learning_rate)
        slot = self.momentums[self._get_variable_index(variable)]
        return tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=slot.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon` for convolutions: a kernel is a matrix with a column for each filter; all else takes Adam's step.

    The step of a matrix is its momentum with singular values near 1 (Jordan et al. 2024, kellerjordan.github.io/posts/muon),
    scaled as in Liu et al. 2025, arXiv:2502.16982. Keras' own gives it to matrices alone; here those are the last layer's.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4

    def zeropower_via_newtonschulz5(self, x, steps):
        matrix = keras.ops.reshape(x, (-1, x.shape[-1]))
        return keras.ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

    def lr_adjust(self, x):
        return x * math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])) * self.rms_rate


def make_optimizer(recipe, schedule):
    """The recipe's optimizer; weight decay, clipping and averages are `WeightUpdate`'s, on the gradient that is already reduced."""
    if recipe.optimizer == "adamw":
        return keras.optimizers.Adam(schedule, beta_1=recipe.momentum)
    if recipe.optimizer == "muon":
        return Muon(schedule, momentum=recipe.momentum, nesterov=recipe.nesterov)
    return SGD(schedule, momentum=recipe.momentum, nesterov=recipe.nesterov)
