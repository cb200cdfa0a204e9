"""Keeps small gradients out of float16's underflow, as Keras' LossScaleOptimizer does, but for any strategy."""

from collections.abc import Sequence

import keras
import tensorflow as tf

INITIAL_SCALE, GROWTH_STEPS = 2.0**15, 2000


class LossScale:
    """A factor on the loss: halved, and the step skipped, where a gradient is not finite; doubled after 2,000 good steps.

    Micikevicius et al. 2018, arXiv:1710.03740, section 3.2.
    """

    def __init__(self) -> None:
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.factor = keras.Variable(INITIAL_SCALE, name="loss_scale", dtype="float32", **options)
        self.good_steps = keras.Variable(0, name="good_steps", dtype="int32", **options)

    @property
    def variables(self) -> list[keras.Variable]:
        return [self.factor, self.good_steps]

    def unscaled(self, gradients: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The gradients divided by the factor, and whether all are finite; in replica context, once they are summed."""
        unscaled = [gradient / self.factor for gradient in gradients]
        return unscaled, tf.math.is_finite(tf.linalg.global_norm(unscaled))

    def update(self, finite: tf.Tensor) -> None:
        """Adapts the factor after a step whose gradients were all finite, or not."""
        grows = finite & (self.good_steps + 1 >= GROWTH_STEPS)
        factor = tf.where(finite, tf.where(grows, self.factor * 2, self.factor), tf.maximum(self.factor / 2, 1.0))
        self.good_steps.assign(tf.where(finite & ~grows, self.good_steps + 1, 0))
        self.factor.assign(factor)
