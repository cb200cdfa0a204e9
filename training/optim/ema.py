"""The moving average of a network's weights, which is evaluated and kept in their place."""

from collections.abc import Iterable

import keras
import tensorflow as tf


def is_moving_statistic(variable: keras.Variable) -> bool:
    """Whether a variable is a moving statistic of a BatchNormalization, which each replica keeps for itself."""
    return variable.path.endswith(("moving_mean", "moving_variance"))


class ExponentialMovingAverage:
    """Averages of weights and moving statistics over the steps, `average += (1 - momentum) * (value - average)`.

    As in `tf.train.ExponentialMovingAverage`, the momentum is at most (1 + step) / (10 + step).
    """

    def __init__(self, variables: Iterable[keras.Variable], momentum: float) -> None:
        self.variables = [variable for variable in variables if variable.dtype.startswith(("float", "bfloat"))]
        self._momentum = momentum
        self.averages = [
            keras.Variable(
                tf.convert_to_tensor(variable), trainable=False, aggregation=variable.aggregation, name=f"average_{index}"
            )
            for index, variable in enumerate(self.variables)
        ]

    def moving_statistics(self) -> list[keras.Variable]:
        """The averages of moving statistics, which each replica keeps for itself as it does these."""
        pairs = zip(self.variables, self.averages, strict=True)
        return [average for variable, average in pairs if is_moving_statistic(variable)]

    def update(self, strategy: tf.distribute.Strategy, step: keras.Variable) -> None:
        """Moves the averages towards the weights, after `step` steps; called where `strategy.extended.update` may be."""
        count = tf.cast(step, tf.float32)
        rate = 1 - tf.minimum(self._momentum, (1 + count) / (10 + count))
        for average, variable in zip(self.averages, self.variables, strict=True):
            strategy.extended.update(average.value, self._towards, args=(variable.value, rate), group=False)

    @staticmethod
    def _towards(average: tf.Variable, value: tf.Tensor, rate: tf.Tensor) -> None:
        average.assign_sub(rate * (average - value), read_value=False)

    def swap(self) -> None:
        """Exchanges the weights and their averages; twice is as before."""
        for average, variable in zip(self.averages, self.variables, strict=True):
            kept = tf.identity(variable.value)
            variable.assign(average.value)
            average.assign(kept)
