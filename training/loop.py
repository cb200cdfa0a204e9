"""The one loop: training and evaluation steps for any `tf.distribute` strategy, several of them in one call of the host."""

import contextlib
import dataclasses
import time

import keras
import tensorflow as tf

from keras_resnet.training.batches import Share
from keras_resnet.training.update import STATISTICS

SECONDS_PER_CALL = 1.0  # what the number of steps in a call is fitted to
MOST_STEPS_PER_CALL = 128
MOST_VARIABLES_IN_A_LOOP = 1000  # beyond, TensorFlow takes as long to start a loop around the step as to trace it


@dataclasses.dataclass
class Sums:
    """Added up over the examples of a pass: their losses, how many were right, and how many there were."""

    loss: float = 0.0
    correct: float = 0.0
    examples: float = 0.0

    def __iadd__(self, other):
        for field, value in zip(dataclasses.fields(self), other, strict=True):
            setattr(self, field.name, getattr(self, field.name) + float(value))
        return self

    def means(self):
        return {"loss": self.loss / max(self.examples, 1), "accuracy": self.correct / max(self.examples, 1)}


@dataclasses.dataclass(frozen=True)
class Call:
    """What the host hears after some steps: how many of the epoch are done, the `Sums` of these, the last gradient's norm.

    stop, save: whether any worker asked for it before the call; the answer is the same on all of them.
    """

    done: int
    sums: Sums
    gradient_norm: float
    stop: bool
    save: bool


class Loop:
    """A network in training. A step's loss is the mean over the global batch, whatever the number of replicas.

    Sums, flags and gradients of all replicas go through one reduction. Each step's random numbers (dropout, stochastic depth)
    are a function of seed, step and replica, so they need not be saved.
    """

    def __init__(self, strategy, model, update, recipe, *, seed=0, class_weights=None, jit_compile=False, steps_per_call=0):
        """`model` gives logits. update: an `Update`. steps_per_call: 0 fits it to about a second."""
        self.strategy, self.model, self.update = strategy, model, update
        self._recipe, self._class_weights, self._fixed_steps = recipe, class_weights, steps_per_call
        self.loss_scale = None
        self._one_by_one = len(update.variables) > MOST_VARIABLES_IN_A_LOOP
        self._steps, self._seconds = steps_per_call or 1, 0.0
        self._forward_backward = (
            tf.function(self._gradients, autograph=False, jit_compile=True) if jit_compile else self._gradients
        )
        generators = {id(g): g for layer in model._flatten_layers() for g in getattr(layer, "_seed_generators", ())}
        self._seeds = [(seed * 1_000_003 + number) % 2**32 for number in range(len(generators))]
        self._generators = list(generators.values())

    def train(self, epoch, sums=None, asks=lambda: (False, False)):
        """Runs over an `Epoch` and yields a `Call` after each call of the host. `asks`: says before each (stop, save)."""
        sums, done = sums or Sums(), epoch.start
        iterator = iter(self.strategy.distribute_datasets_from_function(lambda context: epoch.dataset(Share.of(context))))
        while done < epoch.steps:
            count = 1 if self._one_by_one else min(epoch.steps - done, self._steps)
            start = time.perf_counter()
            flags = tf.constant([*map(float, asks()), self._seconds])
            with graph_optimizer_off() if self._one_by_one else contextlib.nullcontext():
                steps, totals, norm, flags = self._train_steps(iterator, tf.constant(count), flags)
            done += int(steps)
            sums += totals.numpy()
            stop, save, seconds = flags.numpy()
            self._fit_steps(seconds / self.strategy.num_replicas_in_sync)
            self._seconds = time.perf_counter() - start
            yield Call(done, sums, float(norm), bool(stop), bool(save))

    def _fit_steps(self, seconds):
        """Takes more steps a call where calls are short. All workers see the same, mean `seconds`, those of the call before."""
        if self._fixed_steps or not seconds:
            return
        if seconds < SECONDS_PER_CALL / 2:
            self._steps = min(2 * self._steps, MOST_STEPS_PER_CALL)
        elif seconds > 2 * SECONDS_PER_CALL:
            self._steps = max(self._steps // 2, 1)

    def evaluate(self, examples):
        """The loss and accuracy over a `Pass`, every example once."""
        sums, done = Sums(), 0
        iterator = iter(self.strategy.distribute_datasets_from_function(lambda context: examples.dataset(Share.of(context))))
        while done < examples.steps:
            count = min(examples.steps - done, MOST_STEPS_PER_CALL)
            sums += self._test_steps(iterator, tf.constant(count)).numpy()
            done += count
        return sums.means()

    @tf.function(autograph=False)
    def _train_steps(self, iterator, count, flags):
        if self._one_by_one:
            return tf.constant(1), *self._on_replicas(self._train_step, (*next(iterator), flags))

        def body(done, totals, *_):
            sums, norm, summed_flags = self._on_replicas(self._train_step, (*next(iterator), flags))
            return done + 1, totals + sums, norm, summed_flags

        def goes_on(done, totals, *_):
            return (done < count) & tf.math.is_finite(totals[0])

        return tf.while_loop(goes_on, body, [tf.constant(0), tf.zeros(3), tf.constant(0.0), tf.zeros(3)])

    @tf.function(autograph=False)
    def _test_steps(self, iterator, count):
        def body(done, totals):
            return done + 1, totals + self._on_replicas(self._test_step, next(iterator))

        return tf.while_loop(lambda done, _: done < count, body, [tf.constant(0), tf.zeros(3)])[1]

    def _on_replicas(self, step, arguments):
        """What one replica returns: the same on all of them."""
        results = self.strategy.run(step, args=arguments)
        return tf.nest.map_structure(lambda result: self.strategy.experimental_local_results(result)[0], results)

    def _train_step(self, images, targets, flags):
        self._seed()
        gradients, sums = self._forward_backward(images, targets)
        *gradients, sums, flags = summed([*gradients, sums, tf.identity(flags)])
        finite = None
        if self.loss_scale:
            gradients, finite = self.loss_scale.unscaled(gradients)
            self.loss_scale.update(finite)
        return sums, self.update.apply(gradients, finite), flags

    def _test_step(self, images, labels, weights):
        logits = self._logits(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        correct = tf.cast(tf.argmax(logits, axis=1) == tf.cast(labels, tf.int64), tf.float32)
        (sums,) = summed([tf.stack([tf.reduce_sum(values * weights) for values in (losses, correct, tf.ones_like(losses))])])
        return sums

    def _gradients(self, images, targets):
        """Of the mean loss with respect to the trainable weights, and the sums, over this replica's part of the batch."""
        pieces = self._recipe.accumulate
        if pieces == 1:
            return self._gradients_at_once(images, targets)
        images, targets = (tf.reshape(x, (pieces, -1, *x.shape[1:])) for x in (images, targets))

        def body(piece, *totals):
            gradients, sums = self._gradients_at_once(images[piece], targets[piece])
            return piece + 1, *(total + part for total, part in zip(totals, (*gradients, sums), strict=True))

        zeros = [tf.zeros(variable.shape) for variable in self.update.variables]
        _, *gradients, sums = tf.while_loop(lambda piece, *_: piece < pieces, body, [tf.constant(0), *zeros, tf.zeros(3)])
        return gradients, sums

    def _gradients_at_once(self, images, targets):
        values = [variable.value for variable in self.update.variables]
        with tf.GradientTape() as tape:
            logits = self._logits(images, training=True)
            losses = self._losses(targets, logits)
            loss = tf.reduce_sum(losses) / self._recipe.batch_size
            if self.loss_scale:
                loss *= self.loss_scale.factor
        correct = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32))
        sums = tf.stack([tf.reduce_sum(losses), correct, tf.cast(tf.size(losses), tf.float32)])
        return tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO), sums

    def _losses(self, targets, logits):
        """The cross-entropy of each example."""
        smoothing = self._recipe.label_smoothing
        smoothed = (1 - smoothing) * targets + smoothing / targets.shape[1] if smoothing else targets
        losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
        return losses if self._class_weights is None else losses * tf.linalg.matvec(targets, self._class_weights)

    def _logits(self, images, training):
        return tf.cast(self.model(tf.cast(images, tf.float32), training=training), tf.float32)

    def _seed(self):
        """Sets Keras' random states for this step and replica."""
        if self._generators:
            replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
            step = tf.cast(self.update.optimizer.iterations.value, tf.int64)
            count = step * self.strategy.num_replicas_in_sync + replica
            for generator, seed in zip(self._generators, self._seeds, strict=True):
                state = tf.stack([tf.constant(seed, tf.int64), count])
                generator.state.assign(keras.ops.cast(state, generator.state.dtype))

    @property
    def state(self):
        """Every variable besides the network's own that a continued run needs."""
        return [*self.update.state, *(self.loss_scale.variables if self.loss_scale else ())]

    def agree(self):
        """Gives all replicas the mean of their moving statistics, which each keeps for itself while training."""
        own = [variable for variable in self.model.variables if variable.path.endswith(STATISTICS)]
        self._agreed = [*own, *self.update.averaged_statistics()]
        if self._agreed and self.strategy.num_replicas_in_sync > 1:
            self._average_statistics()

    @tf.function(autograph=False)
    def _average_statistics(self):
        def average():
            values = [tf.identity(variable) for variable in self._agreed]
            means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
            for variable, mean in zip(self._agreed, means, strict=True):
                variable.assign(mean)

        self.strategy.run(average)


@contextlib.contextmanager
def graph_optimizer_off():
    """Inside, TensorFlow runs functions as they were traced: for a thousand layers sooner by a third, and as fast."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def summed(tensors):
    """Each tensor summed over the replicas, on every one of them."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
