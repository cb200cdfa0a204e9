"""The one loop: steps for any `tf.distribute` strategy, several of them in one call of the host."""

import contextlib
import dataclasses
import time

import tensorflow as tf

from .data.batches import InputShard
from .optim.update import STATISTICS

SECONDS_PER_EXECUTION = 1.0  # what the number of steps in a call is fitted to
MAX_STEPS_PER_EXECUTION = 128
MOST_VARIABLES_IN_A_LOOP = 1000  # beyond, TensorFlow takes as long to start a loop around the step as to trace it


@dataclasses.dataclass
class MetricSums:
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
class LoopOutput:
    """What the host hears after some steps: how many of the epoch are done, the `MetricSums` of these, the last gradient's norm.

    stop, save: whether any worker asked for it before the call; the answer is the same on all of them.
    """

    done: int
    sums: MetricSums
    gradient_norm: float
    stop: bool
    save: bool


class TrainLoop:
    """A network in training: its `TrainStep` on every replica of a strategy."""

    def __init__(self, strategy, step, steps_per_execution=0):
        """steps_per_call: 0 fits it to about a second."""
        self._strategy, self.step, self._fixed_steps = strategy, step, steps_per_execution
        self._step_from_host = len(step.update.variables) > MOST_VARIABLES_IN_A_LOOP
        self._steps, self._seconds = steps_per_execution or 1, 0.0
        own = [variable for variable in step.model.variables if variable.path.endswith(STATISTICS)]
        self._statistics = [*own, *step.update.averaged_statistics()]

    def train(self, epoch, sums=None, poll_requests=lambda: (False, False)):
        """Runs over an `TrainBatches` and yields a `LoopOutput` after each call of the host. `poll_requests`: says before each (stop, save)."""
        sums, done = sums or MetricSums(), epoch.start
        iterator = iter(self._strategy.distribute_datasets_from_function(lambda context: epoch.dataset(InputShard.of(context))))
        while done < epoch.steps:
            count = 1 if self._step_from_host else min(epoch.steps - done, self._steps)
            start = time.perf_counter()
            flags = tf.constant([*map(float, poll_requests()), self._seconds])
            with grappler_disabled() if self._step_from_host else contextlib.nullcontext():
                steps, totals, norm, flags = self._train_steps(iterator, tf.constant(count), flags)
            done += int(steps)
            sums += totals.numpy()
            stop, save, seconds = flags.numpy()
            self._fit_steps(seconds / self._strategy.num_replicas_in_sync)
            self._seconds = time.perf_counter() - start
            yield LoopOutput(done, sums, float(norm), bool(stop), bool(save))

    def _fit_steps(self, seconds):
        """Takes more steps a call where calls are short. All workers see the same, mean `seconds`, those of the call before."""
        if self._fixed_steps or not seconds:
            return
        if seconds < SECONDS_PER_EXECUTION / 2:
            self._steps = min(2 * self._steps, MAX_STEPS_PER_EXECUTION)
        elif seconds > 2 * SECONDS_PER_EXECUTION:
            self._steps = max(self._steps // 2, 1)

    def evaluate(self, examples):
        """The loss and accuracy over a `EvalBatches`, every example once."""
        sums, done = MetricSums(), 0
        iterator = iter(
            self._strategy.distribute_datasets_from_function(lambda context: examples.dataset(InputShard.of(context)))
        )
        while done < examples.steps:
            count = min(examples.steps - done, MAX_STEPS_PER_EXECUTION)
            sums += self._test_steps(iterator, tf.constant(count)).numpy()
            done += count
        return sums.means()

    @tf.function(autograph=False)
    def _train_steps(self, iterator, count, flags):
        if self._step_from_host:
            return tf.constant(1), *self._on_replicas(self.step.train, (*next(iterator), flags))

        def body(done, totals, *_):
            sums, norm, summed_flags = self._on_replicas(self.step.train, (*next(iterator), flags))
            return done + 1, totals + sums, norm, summed_flags

        def goes_on(done, totals, *_):
            return (done < count) & tf.math.is_finite(totals[0])

        return tf.while_loop(goes_on, body, [tf.constant(0), tf.zeros(3), tf.constant(0.0), tf.zeros(3)])

    @tf.function(autograph=False)
    def _test_steps(self, iterator, count):
        def body(done, totals):
            return done + 1, totals + self._on_replicas(self.step.evaluate, next(iterator))

        return tf.while_loop(lambda done, _: done < count, body, [tf.constant(0), tf.zeros(3)])[1]

    def _on_replicas(self, step, arguments):
        """What one replica returns: the same on all of them."""
        results = self._strategy.run(step, args=arguments)
        return tf.nest.map_structure(lambda result: self._strategy.experimental_local_results(result)[0], results)

    def sync_moving_statistics(self):
        """Gives all replicas the mean of their moving statistics, which each keeps for itself while training."""
        if self._statistics and self._strategy.num_replicas_in_sync > 1:
            self._average_statistics()

    @tf.function(autograph=False)
    def _average_statistics(self):
        def average():
            values = [tf.identity(variable) for variable in self._statistics]
            means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
            for variable, mean in zip(self._statistics, means, strict=True):
                variable.assign(mean)

        self._strategy.run(average)


@contextlib.contextmanager
def grappler_disabled():
    """Inside, TensorFlow runs functions as they were traced: for a thousand layers sooner by a third, and as fast."""
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
