"""One run from configuration to `model.keras`."""

import contextlib
import math
import re
import signal
import time
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import NoReturn

import keras
import tensorflow as tf

from keras_resnet.errors import TrainingInterrupted, UserError

from .callbacks import JsonlLogger, ProgressBar, TensorBoardLogger
from .checkpoints import CheckpointManager, TrainState
from .config import TrainConfig
from .context import TrainingContext, create_context
from .data.batches import EvalBatches, InputShard
from .distribute.strategies import collective_error_as_worker_lost
from .finalize import MODEL_FILE, evaluate_and_save
from .loop import LoopOutput
from .signals import StopSignal
from .step import HostRequests, MetricSums
from .workdir import check_same_data, open_workdir

__all__ = ["MODEL_FILE", "Trainer", "train"]

FIRST_BATCH_IMAGES = 64  # of the first batch, for TensorBoard


def train(
    config: TrainConfig, workdir: str | PathLike[str], callbacks: Sequence[keras.callbacks.Callback] = ()
) -> dict[str, float] | None:
    """Runs, or continues, the training that `config` describes.

    The checkpoint with the best validation accuracy becomes `workdir/model.keras`. With several workers each calls this; only
    the chief writes.

    Args:
        config: what to train, on what, and how.
        workdir: folder of the run. Files that are not of this run are never overwritten.
        callbacks: Keras callbacks. Their batch methods are called once per execution, which is several steps. One that sets
            `model.stop_training`, as `EarlyStopping` does, ends the training with that epoch. The learning rate is the
            recipe's: assigning to that of `model.optimizer` raises.

    Returns:
        Loss and accuracy on the test split, its number of images, and the seconds spent training; None if not the chief.

    Raises:
        UserError: where the configuration, the data or the work directory is wrong.
        TrainingInterrupted: after SIGTERM or SIGINT, once everything is saved.
        WorkerLost: when another worker has ended too early.
    """
    context, workdir = create_context(config), Path(workdir)
    lock = open_workdir(workdir, config) if context.chief else contextlib.nullcontext()
    with lock, collective_error_as_worker_lost(context.strategy), missing_file_as_user_error():
        return Trainer(context, workdir, callbacks).train()


class Trainer:
    """A training in its work directory, from the newest checkpoint there, if there is one."""

    def __init__(self, context: TrainingContext, workdir: Path, callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
        self.context, self.config, self.recipe = context, context.config, context.recipe
        self.loop, self.update, self.steps = context.loop, context.loop.step.update, context.steps_per_epoch
        self.workdir, self.signal = workdir, StopSignal()
        self.last_report_time = self.last_save_time = time.perf_counter()
        self.state = TrainState(context.data_fingerprint())
        with context.strategy.scope():
            self.checkpoints = CheckpointManager(
                workdir / "checkpoints",
                context.model.weights,
                context.loop.step.state_variables,
                self.state,
                max_to_keep=self.config.keep_checkpoints,
                chief=context.chief,
            )
            self.checkpoints.restore_latest()
        check_same_data(self.state.data_fingerprint, context.data_fingerprint(), workdir)
        own = []
        if context.chief:
            self.metrics, self.events = JsonlLogger(workdir, self.state.epoch), TensorBoardLogger(workdir)
            progress = ProgressBar(self.recipe.epochs, self.steps, self.state.epoch, self.state.step)
            own = [self.metrics, self.events, progress]
        context.model.optimizer, context.model.stop_training = self.update.optimizer, False  # as `compile` and `fit` set them
        self.callbacks = keras.callbacks.CallbackList(
            [*own, *callbacks], model=context.model, epochs=self.recipe.epochs, steps=self.steps, verbose=0
        )

    @property
    def global_step(self) -> int:
        """Steps of the whole run that are done."""
        return self.state.epoch * self.steps + self.state.step

    @property
    def learning_rate(self) -> float:
        """That of the last step."""
        return float(self.context.schedule(self.global_step - 1))

    def train(self) -> dict[str, float] | None:
        """Trains to the end; returns the metrics on the test split, on the chief."""
        if self.context.chief and not self.global_step:
            images, _ = next(iter(self.context.train_batches(0).dataset(InputShard())))
            self.events.images("first_batch", images[:FIRST_BATCH_IMAGES], step=0)
        self.callbacks.on_train_begin()
        try:
            with self.signal:
                while self.state.epoch < self.recipe.epochs and not self.context.model.stop_training:
                    self.train_epoch()
        finally:
            self.callbacks.on_train_end()
        self.checkpoints.restore_best()
        if not self.context.chief:
            return None
        weights = self.context.model.get_weights()
        return evaluate_and_save(self.context, weights, self.state.seconds, self.workdir, self.metrics, self.events)

    def train_epoch(self) -> None:
        """Runs the rest of an epoch and the validation, logged and saved.

        Raises:
            TrainingInterrupted: if any worker was asked to stop.
        """
        first, began, stop_requested = self.state.step, time.perf_counter(), False
        self.callbacks.on_epoch_begin(self.state.epoch)
        self.last_report_time = self.last_save_time = began
        logs: dict[str, float] = {}
        batches = self.context.train_batches(self.state.epoch, first)
        for output in self.loop.train(batches, MetricSums(*self.state.sums), self.poll_requests):
            logs, stop_requested = self.on_loop_output(output), output.stop
            if stop_requested:
                break
            if output.save and output.step < self.steps:
                self.save()
        if self.state.step == self.steps:
            images = (self.steps - first) * self.recipe.batch_size
            self.end_epoch({**logs, "images_per_second": images / (time.perf_counter() - began)})
        else:
            self.save()
        if stop_requested:
            self.stop()

    def poll_requests(self) -> HostRequests:
        """What this worker requests before an execution: to stop, to save."""
        overdue = time.perf_counter() - self.last_save_time > 60 * self.config.checkpoint_minutes
        return HostRequests(stop=self.signal.received is not None, save=overdue)

    def on_loop_output(self, output: LoopOutput) -> dict[str, float]:
        """Takes note of how far the run is, checks the loss, and calls the callbacks. Returns the logs."""
        state, now = self.state, time.perf_counter()
        rate = (output.step - state.step) * self.recipe.batch_size / (now - self.last_report_time)
        state.seconds += now - self.last_report_time
        state.step, state.sums, self.last_report_time = output.step, list(output.sums), now
        self.check_loss_is_finite("loss", output.sums.loss, weights_after=self.global_step - 1)
        logs = {**output.sums.means(), "learning_rate": self.learning_rate, "gradient_norm": output.gradient_norm}
        self.callbacks.on_train_batch_end(self.global_step - 1, {**logs, "images_per_second": rate})
        return logs

    def end_epoch(self, logs: dict[str, float]) -> None:
        """Evaluates, with the averaged weights if the recipe asks for them, logs and saves."""
        state = self.state
        self.loop.sync_moving_statistics()
        with self.update.ema_weights():
            validation = self.loop.evaluate(EvalBatches(self.context.validation_split, self.recipe.batch_size))
            accuracy, loss = validation["accuracy"], validation["loss"]
            self.check_loss_is_finite("validation loss", loss, weights_after=self.global_step)
            if (accuracy, -loss) > (state.best[0], -state.best[1]):
                self.checkpoints.save_best(self.global_step)
                state.best = [accuracy, loss]
        # Logged first: a continued run drops what was logged after its checkpoint, but nothing could fill a gap.
        self.callbacks.on_epoch_end(state.epoch, {**logs, **{f"val_{name}": value for name, value in validation.items()}})
        state.epoch, state.step, state.sums = state.epoch + 1, 0, [0.0, 0.0, 0.0]
        self.save()

    def check_loss_is_finite(self, name: str, loss: float, weights_after: int) -> None:
        """Stops the run at a NaN or infinite loss.

        Args:
            name: of the loss.
            loss: at the step that the run has come to.
            weights_after: the step after which the weights were those that gave this loss; its checkpoint is not a good one.
        """
        if math.isfinite(loss):
            return
        last = self.checkpoints.last_before(weights_after)
        kept = "there is no checkpoint yet" if last is None else f"the last good checkpoint is that of step {last}"
        where = f"at step {self.global_step}, in epoch {self.state.epoch + 1}, at a learning rate of {self.learning_rate:.3g}"
        raise UserError(f"the {name} is {loss} {where}; {kept}")

    def save(self) -> None:
        """Saves everything as it is after the last step."""
        self.loop.sync_moving_statistics()
        self.checkpoints.save(self.global_step)
        self.last_save_time = time.perf_counter()

    def stop(self) -> NoReturn:
        number = self.signal.received or signal.SIGTERM  # another worker's
        where = f"epoch {self.state.epoch}" + (f" and {self.state.step} steps" if self.state.step else "")
        raise TrainingInterrupted(
            f"stopped by {signal.Signals(number).name} after {where}; everything is saved, the same command continues", number
        )


@contextlib.contextmanager
def missing_file_as_user_error() -> Iterator[None]:
    """Inside, an image file that disappears raises a `UserError`: TensorFlow has no error of its own for it."""
    try:
        yield
    except tf.errors.UnknownError as error:
        if missing := re.search(r"Error: (\[Errno \d+\] .*)", error.message):
            message = f"an image file has disappeared: {missing[1]}; once it is back, the same command continues"
            raise UserError(message) from error
        raise
