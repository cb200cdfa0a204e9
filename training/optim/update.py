"""What happens to the weights once the gradients are summed over all replicas: clip, decay, step, average."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import cast

import keras
import tensorflow as tf

from keras_resnet._tensorflow_internals import maybe_merge_call

from ..recipes import Recipe
from .ema import ExponentialMovingAverage


class WeightUpdate:
    """One step of an optimizer, the same on every replica.

    Keras' optimizers clip and decay before the replicas' gradients are summed; here all of it acts on the sum.

    Args:
        optimizer: takes the step.
        variables: the weights that it changes.
        recipe: gives weight decay and clipping.
        lr_multipliers: a factor on the learning rate for each of the `variables`.
        ema: follows the weights.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        recipe: Recipe,
        lr_multipliers: Sequence[float] | None = None,
        ema: ExponentialMovingAverage | None = None,
    ) -> None:
        self.optimizer, self.variables, self.ema = optimizer, variables, ema
        self._lr_multipliers = lr_multipliers or [1.0] * len(variables)
        self._global_clipnorm = recipe.global_clipnorm
        self._coupled = recipe.weight_decay if recipe.weight_decay_mode == "coupled" else 0.0
        self._decoupled = recipe.weight_decay if recipe.weight_decay_mode == "decoupled" else 0.0
        optimizer.build(variables)  # before anything is restored, or the slots are lost (keras issue 19389)

    @property
    def state_variables(self) -> list[keras.Variable]:
        """Every variable that a continued run needs."""
        return [*self.optimizer.variables, *(self.ema.averages if self.ema else ())]

    @property
    def iterations(self) -> keras.Variable:
        """The number of steps taken in the whole run."""
        return cast(keras.Variable, self.optimizer.iterations)

    @contextlib.contextmanager
    def ema_weights(self) -> Iterator[None]:
        """Inside, the network has its averaged weights, if the recipe asks for them."""
        if not self.ema:
            yield
            return
        self.ema.swap()
        try:
            yield
        finally:
            self.ema.swap()

    def apply(self, gradients: Sequence[tf.Tensor], finite: tf.Tensor | None = None) -> tf.Tensor:
        """Changes the weights and returns the norm of the gradients.

        Called in replica context, with gradients that are already summed. Where `finite` is false, the weights stay.
        """
        norm = tf.linalg.global_norm(gradients)
        if self._global_clipnorm:
            factor = self._global_clipnorm / tf.maximum(norm, self._global_clipnorm)
            gradients = [gradient * factor for gradient in gradients]
        rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        with tf.control_dependencies([norm]):  # once nothing reads the weights any more: else TensorFlow copies them
            maybe_merge_call(self._update_all, tf.distribute.get_strategy(), gradients, rate, finite)
        self.iterations.assign_add(1)
        return norm

    def _update_all(
        self, strategy: tf.distribute.Strategy, gradients: Sequence[tf.Tensor], rate: tf.Tensor, finite: tf.Tensor | None
    ) -> None:
        for variable, gradient, factor in zip(self.variables, gradients, self._lr_multipliers, strict=True):
            strategy.extended.update(variable.value, self._update_one, args=(gradient, rate, factor, finite), group=False)
        if self.ema:
            self.ema.update(strategy, self.iterations)

    def _update_one(
        self, variable: tf.Variable, gradient: tf.Tensor, rate: tf.Tensor, factor: float, finite: tf.Tensor | None
    ) -> None:
        def step() -> None:
            decayed = gradient + self._coupled * variable if self._coupled else gradient
            if self._decoupled:
                variable.assign_sub(rate * factor * self._decoupled * variable, read_value=False)
            self.optimizer.update_step(decayed, variable, rate if factor == 1.0 else rate * factor)

        if finite is None:
            step()
        else:
            tf.cond(finite, lambda: (step(), tf.constant(0))[1], lambda: tf.constant(0))
