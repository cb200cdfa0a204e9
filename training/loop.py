"""The training loop: steps for any `tf.distribute` strategy, several of them in one execution that the host starts."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from keras_resnet._tensorflow_internals import device_buffers_without_autotuning

from .data.batches import EvalBatches, InputShard, TrainBatches
from .optim.ema import is_moving_statistic
from .step import HostRequests, MetricSums, StepOutput, TrainStep

SECONDS_PER_EXECUTION = 1.0  # the number of steps in an execution is fitted to this
MAX_STEPS_PER_EXECUTION = 128
MOST_UNITS_IN_A_LOOP = 100  # with more, TensorFlow takes as long to start a loop around the step as to trace it


@dataclasses.dataclass(frozen=True)
class LoopOutput:
    """What the host learns after each execution.

    Attributes:
        step: how many steps of the epoch are done.
        sums: over all of these.
        gradient_norm: of the last one.
        stop, save: whether any worker requested it before the execution; the same on all workers.
    """

    step: int
    sums: MetricSums
    gradient_norm: float
    stop: bool
    save: bool


class TrainLoop:
    """Runs a `TrainStep` on every replica of a strategy.

    Args:
        strategy: that the variables of `step` were made under.
        step: what each replica runs.
        steps_per_execution: training steps between two returns to the host; 0 fits it to about a second.
    """

    def __init__(self, strategy: tf.distribute.Strategy, step: TrainStep, steps_per_execution: int = 0) -> None:
        self._strategy, self.step, self._fixed_steps = strategy, step, steps_per_execution
        self._step_from_host = step.network.units_one_by_one > MOST_UNITS_IN_A_LOOP
        self._steps, self._seconds = steps_per_execution or 1, 0.0
        self._next: tuple[TrainBatches, Iterator[Any]] | None = None  # the epoch that an iterator has come to
        own = [variable for variable in step.network.variables if is_moving_statistic(variable)]
        self._statistics = [*own, *(step.update.ema.moving_statistics() if step.update.ema else ())]

    def train(
        self,
        batches: TrainBatches,
        sums: MetricSums | None = None,
        poll_requests: Callable[[], HostRequests] = HostRequests,
    ) -> Iterator[LoopOutput]:
        """Runs over the batches of an epoch and yields a `LoopOutput` after each execution.

        Args:
            batches: of an epoch, possibly from a step in its middle on. The iterator is kept for the epochs that follow.
            sums: over the steps of the epoch before that.
            poll_requests: called before each execution; what this worker's host requests.
        """
        kept = self._next[1] if self._next and self._next[0] == batches else None
        self.let_go()
        iterator = kept or self._distributed(batches)
        done, sums = batches.start, sums or MetricSums()
        while done < batches.steps:
            count = 1 if self._step_from_host else min(batches.steps - done, self._steps)
            start = time.perf_counter()
            requests = poll_requests()._replace(seconds=self._seconds)
            requests = HostRequests(*(tf.constant(float(value)) for value in requests))
            with grappler_disabled() if self._step_from_host else contextlib.nullcontext():
                steps, output = self._train_steps(iterator, tf.constant(count), requests)
            done += int(steps)
            sums = sums.plus(MetricSums(*map(float, output.sums)))
            requests = HostRequests(*map(float, output.requests))
            self._fit_steps(requests.seconds / self._strategy.num_replicas_in_sync)
            self._seconds = time.perf_counter() - start
            if done == batches.steps and (following := batches.following()):
                self._next = following, iterator
            yield LoopOutput(done, sums, float(output.gradient_norm), bool(requests.stop), bool(requests.save))

    def let_go(self) -> None:
        """Ends the input pipeline, if it is kept for a further epoch."""
        self._next = None

    def _fit_steps(self, seconds: float) -> None:
        """Takes more steps per execution where these are short. All workers see the same mean `seconds`, of the one before."""
        if self._fixed_steps or not seconds:
            return
        if seconds < SECONDS_PER_EXECUTION / 2:
            self._steps = min(2 * self._steps, MAX_STEPS_PER_EXECUTION)
        elif seconds > 2 * SECONDS_PER_EXECUTION:
            self._steps = max(self._steps // 2, 1)

    def evaluate(self, batches: EvalBatches) -> dict[str, float]:
        """Returns the loss and accuracy over the batches, with every example counted once."""
        sums, done, iterator = MetricSums(), 0, self._distributed(batches)
        while done < batches.steps:
            count = min(batches.steps - done, MAX_STEPS_PER_EXECUTION)
            sums = sums.plus(MetricSums(*map(float, self._test_steps(iterator, tf.constant(count)))))
            done += count
        return sums.means()

    def _distributed(self, batches: TrainBatches | EvalBatches) -> Iterator[Any]:
        """An iterator that gives each replica its share of every batch."""

        def shard(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return batches.dataset(InputShard.of(context))

        with device_buffers_without_autotuning():  # which would make the end of an epoch wait, see `prefetched`
            return iter(self._strategy.distribute_datasets_from_function(shard))

    @tf.function(autograph=False)
    def _train_steps(self, iterator: Any, count: tf.Tensor, requests: HostRequests) -> tuple[tf.Tensor, StepOutput]:
        """Runs `count` steps, or fewer if a loss is not finite: how many, and the last output with the sums over all."""

        def step() -> StepOutput:
            return self._on_replicas(self.step.train, (*next(iterator), requests))

        if self._step_from_host:
            return tf.constant(1), step()

        def body(done: tf.Tensor, before: StepOutput) -> tuple[tf.Tensor, StepOutput]:
            output = step()
            return done + 1, output._replace(sums=before.sums.plus(output.sums))

        def goes_on(done: tf.Tensor, before: StepOutput) -> tf.Tensor:
            return (done < count) & tf.math.is_finite(before.sums.loss)

        zero = tf.constant(0.0)
        nothing = StepOutput(MetricSums(zero, zero, zero), zero, HostRequests(zero, zero, zero))
        return tf.while_loop(goes_on, body, (tf.constant(0), nothing))

    @tf.function(autograph=False)
    def _test_steps(self, iterator: Any, count: tf.Tensor) -> MetricSums:
        def body(done: tf.Tensor, sums: MetricSums) -> tuple[tf.Tensor, MetricSums]:
            return done + 1, sums.plus(self._on_replicas(self.step.evaluate, next(iterator)))

        zero = tf.constant(0.0)
        start = (tf.constant(0), MetricSums(zero, zero, zero))
        return tf.while_loop(lambda done, _: done < count, body, start)[1]

    def _on_replicas(self, step: Callable, arguments: tuple) -> Any:
        """What one replica returns: the same on all of them."""
        results = self._strategy.run(step, args=arguments)
        return tf.nest.map_structure(lambda result: self._strategy.experimental_local_results(result)[0], results)

    def sync_moving_statistics(self) -> None:
        """Gives all replicas the mean of their moving statistics, which each keeps for itself while training."""
        if self._statistics and self._strategy.num_replicas_in_sync > 1:
            self._average_statistics()

    @tf.function(autograph=False)
    def _average_statistics(self) -> None:
        def average() -> None:
            values = [tf.identity(variable) for variable in self._statistics]
            means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
            for variable, mean in zip(self._statistics, means, strict=True):
                variable.assign(mean)

        self._strategy.run(average)


@contextlib.contextmanager
def grappler_disabled() -> Iterator[None]:
    """Inside, TensorFlow runs functions as they were traced: a thousand layers start a third sooner and run as fast."""
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
