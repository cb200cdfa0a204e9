"""What happens to the weights once the gradients are summed over all replicas: clip, decay, step, average."""

import contextlib

import keras
import tensorflow as tf

STATISTICS = ("moving_mean", "moving_variance")  # of a BatchNormalization


class WeightUpdate:
    """One step of an optimizer, the same on every replica.

    Keras' optimizers clip and decay before the replicas' gradients are summed; here all of it acts on the sum.
    """

    def __init__(self, optimizer, variables, recipe, lr_multipliers=None, average=None):
        """`lr_multipliers`: factors on the learning rate, one for each of the `variables`. `average`: a `ExponentialMovingAverage`."""
        self.optimizer, self.variables, self.average = optimizer, variables, average
        self._lr_multipliers = lr_multipliers or [1.0] * len(variables)
        self._global_clipnorm = recipe.global_clipnorm
        self._coupled = recipe.weight_decay if recipe.weight_decay_mode == "coupled" else 0.0
        self._decoupled = recipe.weight_decay if recipe.weight_decay_mode == "decoupled" else 0.0
        optimizer.build(variables)  # before anything is restored, or the slots are lost (keras issue 19389)

    @property
    def state(self):
        """Every variable that a continued run needs."""
        return [*self.optimizer.variables, *(self.average.averages if self.average else ())]

    def averaged_statistics(self):
        """The averages of moving statistics, which each replica keeps for itself as it does these."""
        if not self.average:
            return []
        pairs = zip(self.average.variables, self.average.averages, strict=True)
        return [average for variable, average in pairs if variable.path.endswith(STATISTICS)]

    @contextlib.contextmanager
    def ema_weights(self):
        """Inside, the network has its averaged weights, if there are such."""
        if not self.average:
            yield
            return
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    def apply(self, gradients, finite=None):
        """In replica context; `gradients` are summed already. Returns their norm. Where `finite` is false, nothing moves."""
        norm = tf.linalg.global_norm(gradients)
        if self._global_clipnorm:
            factor = self._global_clipnorm / tf.maximum(norm, self._global_clipnorm)
            gradients = [gradient * factor for gradient in gradients]
        rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        maybe_merge_call = tf.__internal__.distribute.interim.maybe_merge_call
        with tf.control_dependencies([norm]):  # once nothing reads the weights any more: else TensorFlow copies them
            maybe_merge_call(self._update_all, tf.distribute.get_strategy(), gradients, rate, finite)
        self.optimizer.iterations.assign_add(1)
        return norm

    def _update_all(self, strategy, gradients, rate, finite):
        for variable, gradient, factor in zip(self.variables, gradients, self._lr_multipliers, strict=True):
            strategy.extended.update(variable.value, self._update_one, args=(gradient, rate, factor, finite), group=False)
        if self.average:
            self.average.update(strategy, self.optimizer.iterations)

    def _update_one(self, variable, gradient, rate, factor, finite):
        def step():
            decayed = gradient + self._coupled * variable if self._coupled else gradient
            if self._decoupled:
                variable.assign_sub(rate * factor * self._decoupled * variable, read_value=False)
            self.optimizer.update_step(decayed, variable, rate if factor == 1.0 else rate * factor)

        if finite is None:
            step()
        else:
            tf.cond(finite, lambda: (step(), tf.constant(0))[1], lambda: tf.constant(0))


class ExponentialMovingAverage:
    """Averages of weights and moving statistics over the steps, `average += (1 - decay) * (value - average)`.

    As in `tf.train.ExponentialMovingAverage`, the decay is at most (1 + step) / (10 + step).
    """

    def __init__(self, variables, decay):
        self.variables = [variable for variable in variables if variable.dtype.startswith(("float", "bfloat"))]
        self._decay = decay
        self.averages = [
            keras.Variable(
                tf.convert_to_tensor(variable), trainable=False, aggregation=variable.aggregation, name=f"average_{index}"
            )
            for index, variable in enumerate(self.variables)
        ]

    def update(self, strategy, step):
        step = tf.cast(step, tf.float32)
        rate = 1 - tf.minimum(self._decay, (1 + step) / (10 + step))
        for average, variable in zip(self.averages, self.variables, strict=True):
            strategy.extended.update(average.value, self._towards, args=(variable.value, rate), group=False)

    @staticmethod
    def _towards(average, value, rate):
        average.assign_sub(rate * (average - value), read_value=False)

    def swap(self):
        """Exchanges the weights and their averages; twice is as before."""
        for average, variable in zip(self.averages, self.variables, strict=True):
            kept = tf.identity(variable.value)
            variable.assign(average.value)
            average.assign(kept)
