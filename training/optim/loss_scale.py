"""Keeps small gradients out of float16's underflow, as Keras' LossScaleOptimizer does, but for any strategy."""

import keras
import tensorflow as tf

START, GROWTH_STEPS = 2.0**15, 2000


class LossScale:
    """A factor on the loss: halved, and the step left out, where a gradient is not finite; doubled after 2,000 good steps.

    Micikevicius et al. 2018, arXiv:1710.03740, section 3.2.
    """

    def __init__(self):
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.factor = keras.Variable(START, name="loss_scale", dtype="float32", **options)
        self.good_steps = keras.Variable(0, name="good_steps", dtype="int32", **options)

    @property
    def variables(self):
        return [self.factor, self.good_steps]

    def unscaled(self, gradients):
        """The gradients, and whether all of them are finite; in replica context, where they are summed already."""
        gradients = [gradient / self.factor for gradient in gradients]
        return gradients, tf.math.is_finite(tf.linalg.global_norm(gradients))

    def update(self, finite):
        grows = finite & (self.good_steps + 1 >= GROWTH_STEPS)
        factor = tf.where(finite, tf.where(grows, self.factor * 2, self.factor), tf.maximum(self.factor / 2, 1.0))
        self.good_steps.assign(tf.where(finite & ~grows, self.good_steps + 1, 0))
        self.factor.assign(factor)
