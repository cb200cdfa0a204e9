"""One run from configuration to `model.keras`."""

import contextlib
import math
import signal
import time
from collections.abc import Sequence
from os import PathLike
from typing import NoReturn

import keras

from keras_resnet.errors import DivergedError, TrainingInterrupted, print_message
from keras_resnet.remote import AnyPath, as_path

from .callbacks.fit_callbacks import FitCallbacks
from .callbacks.loggers import JsonlLogger, ProgressBar, TensorBoardLogger, read_metrics
from .checkpoints import CheckpointManager, TrainState
from .config import TrainConfig
from .context import TrainingContext, connect, create_context
from .data.batches import EvalBatches, InputShard
from .data.decoding.image_errors import missing_file_as_user_error
from .distribute.strategies import collective_error_as_worker_lost, is_chief
from .finalize import MODEL_FILE, evaluate_and_save
from .loop import LoopOutput
from .network.preflight import check_run
from .signals import StopSignal
from .step import HostRequests, MetricSums
from .workdir import check_nothing_lost, check_same_data, open_existing, open_workdir

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
        workdir: folder of the run, or its URL, such as "gs://bucket/run". Files that are not of this run are never overwritten.
        callbacks: Keras callbacks, called as by `fit`, on a compiled model. Their batch methods are called once per execution,
            which is several steps. One that sets `model.stop_training`, as `EarlyStopping` does, ends the run. With an
            ema_momentum, `on_epoch_end` finds the averaged weights, those that were validated. The learning rate is the
            recipe's: assigning to that of `model.optimizer` raises.

    Returns:
        Loss and accuracy on the test split, its number of images, and the seconds spent training; None if not the chief.

    Raises:
        UserError: where the configuration, the data or the work directory is wrong.
        ReportFailed: when all but the report is done: the classifier is saved.
        TrainingInterrupted: after SIGTERM, SIGINT or SIGHUP, once everything is saved.
        WorkerLost: when another worker has ended too early.
    """
    workdir = as_path(workdir)
    check_run(config, workdir)
    strategy = connect(config)  # before signals are held up: it may wait for other workers for ever
    with StopSignal() as stop_signal, contextlib.ExitStack() as locked:
        existing = open_existing(workdir, config) if is_chief(strategy) else None
        if existing:
            locked.enter_context(existing)
        context = create_context(config, strategy)
        if context.chief and not existing:  # a new run writes nothing before all that can be wrong with it has been said
            locked.enter_context(open_workdir(workdir, config))
        with collective_error_as_worker_lost(strategy), missing_file_as_user_error():
            return Trainer(context, workdir, callbacks, stop_signal).train()


class Trainer:
    """A training in its work directory, from the newest checkpoint there, if there is one."""

    def __init__(
        self,
        context: TrainingContext,
        workdir: AnyPath,
        callbacks: Sequence[keras.callbacks.Callback],
        stop_signal: StopSignal,
    ) -> None:
        self.context, self.config, self.recipe = context, context.config, context.recipe
        self.loop, self.update, self.steps = context.loop, context.loop.step.update, context.steps_per_epoch
        self.workdir, self.signal = workdir, stop_signal
        self.last_report_time = self.last_save_time = time.perf_counter()
        self.state = TrainState(context.data_fingerprint())
        with context.strategy.scope():
            self.checkpoints = CheckpointManager(
                workdir / "checkpoints",
                context.network.variables,
                context.loop.step.state_variables,
                self.state,
                max_to_keep=self.config.keep_checkpoints,
                chief=context.chief,
            )
            continued = self.checkpoints.restore_latest()
        context.dataset.bad_images_found.update(self.state.bad_images)
        check_same_data(self.state.data_fingerprint, context.data_fingerprint(), workdir)
        if self.state.best[0] >= 0 and not self.checkpoints.has_best():
            self.replace_lost_best()
        if self.finished:
            self.checkpoints.restore_best()  # which may be damaged: nothing is written before
        self.callbacks = FitCallbacks(callbacks, context)
        loggers = []
        if context.chief:
            if not continued:
                check_nothing_lost(workdir, read_metrics(workdir), self.checkpoints.has_best(), (workdir / MODEL_FILE).exists())
            self.metrics, self.events = JsonlLogger(workdir, self.state.epoch), TensorBoardLogger(workdir)
            progress = ProgressBar(self.recipe.epochs, self.steps, self.state.epoch, self.state.step)
            loggers = [self.metrics, self.events, progress]
        self.loggers = keras.callbacks.CallbackList(loggers)

    @property
    def global_step(self) -> int:
        """Steps of the whole run that are done."""
        return self.state.epoch * self.steps + self.state.step

    @property
    def learning_rate(self) -> float:
        """That of the last step."""
        return float(self.context.schedule(self.global_step - 1))

    def replace_lost_best(self) -> None:
        """Lets the next epoch's weights, or those of the last one, become the best."""
        if self.finished:
            with self.update.ema_weights():
                self.checkpoints.save_best(self.global_step)
        self.state.best = [-1.0, 0.0]
        if self.context.chief:
            instead = "those of the last epoch take" if self.finished else "those of the next epoch take"
            print_message(f"{self.workdir} has lost its best weights; {instead} their place")

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train: all epochs are done, or a callback ended the run."""
        return self.state.epoch >= self.recipe.epochs or self.state.stopped

    def train(self) -> dict[str, float] | None:
        """Trains to the end; returns the metrics on the test split, on the chief."""
        if self.finished:
            if self.context.chief:
                print(f"the run has finished its training, after epoch {self.state.epoch}: the rest is made again")
        else:
            self.train_epochs()
            self.checkpoints.restore_best()
        self.signal.where = "after the training; everything is saved, the same command makes the classifier and the report"
        if self.signal.received:
            self.stop()
        if not self.context.chief:
            return None
        return evaluate_and_save(self.context, self.state.seconds, self.workdir, self.metrics, self.events)

    def train_epochs(self) -> None:
        """Runs the epochs that are left."""
        if self.context.chief and not self.global_step:
            images, _ = next(iter(self.context.train_batches(0).dataset(InputShard())))
            self.events.images("first_batch", images[:FIRST_BATCH_IMAGES], step=0)
        self.callbacks.call("on_train_begin")
        if self.callbacks.given:  # one may have loaded what it saved of an earlier part of the run
            self.checkpoints.restore_again()
        self.loggers.on_train_begin()
        logs: dict[str, float] = {}
        try:
            with self.signal.polled():
                while not self.finished:
                    logs = self.train_epoch()
        finally:
            self.loggers.on_train_end()
        self.callbacks.call("on_train_end", logs)
        self.loop.let_go()  # what needs memory next is the evaluation on the test split
        self.context.train_split.forget()

    def train_epoch(self) -> dict[str, float]:
        """Runs the rest of an epoch and the validation, logged and saved. Returns the logs.

        Raises:
            TrainingInterrupted: if any worker was asked to stop.
        """
        first, began = self.state.step, time.perf_counter()
        self.callbacks.call("on_epoch_begin", self.state.epoch)
        self.last_report_time = self.last_save_time = began
        logs, stop_requested = {}, False
        batches = self.context.train_batches(self.state.epoch, first)
        for output in self.loop.train(batches, MetricSums(*self.state.sums), self.begin_execution):
            logs, stop_requested = self.on_loop_output(output), output.stop
            if stop_requested or self.callbacks.stop_training:
                break
            if output.save and output.step < self.steps:
                self.save()
        if self.state.step == self.steps or self.callbacks.stop_training:
            images = (self.state.step - first) * self.recipe.batch_size
            logs = self.end_epoch({**logs, "images_per_second": images / (time.perf_counter() - began)})
        else:
            self.save()
        if stop_requested:
            self.stop()
        return logs

    def begin_execution(self) -> HostRequests:
        """Calls the callbacks; returns what this worker requests: to stop, to save."""
        self.callbacks.call("on_train_batch_begin", self.state.step)
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
        self.loggers.on_train_batch_end(self.global_step - 1, {**logs, "images_per_second": rate})
        self.callbacks.call("on_train_batch_end", state.step - 1, {**logs, "images_per_second": rate})
        return logs

    def end_epoch(self, logs: dict[str, float]) -> dict[str, float]:
        """Evaluates, with the averaged weights if the recipe asks for them, logs and saves. Returns the logs."""
        state = self.state
        self.loop.sync_moving_statistics()
        with self.update.ema_weights():
            logs |= {f"val_{name}": value for name, value in self.validate().items()}
        # Logged first: a continued run drops what was logged after its checkpoint, but nothing could fill a gap.
        self.loggers.on_epoch_end(state.epoch, logs)
        try:
            with self.update.ema_weights():
                self.callbacks.call("on_epoch_end", state.epoch, logs)
        finally:  # an epoch is not lost by the callback of a user that raises
            state.epoch, state.step, state.sums = state.epoch + 1, 0, [0.0, 0.0, 0.0]
            state.stopped = self.callbacks.stop_training
            self.save()
        return logs

    def validate(self) -> dict[str, float]:
        """Evaluates the network on the validation split, and keeps its weights if they are the best so far."""
        batches = EvalBatches(self.context.validation_split, self.recipe.batch_size)
        self.callbacks.call("on_test_begin")
        self.callbacks.call("on_test_batch_begin", 0)
        validation = self.loop.evaluate(batches)
        self.callbacks.call("on_test_batch_end", max(batches.steps - 1, 0), validation)
        self.callbacks.call("on_test_end", validation)
        accuracy, loss = validation["accuracy"], validation["loss"]
        self.check_loss_is_finite("validation loss", loss, weights_after=self.global_step)
        if (accuracy, -loss) > (self.state.best[0], -self.state.best[1]):
            self.checkpoints.save_best(self.global_step)
            self.state.best = [accuracy, loss]
        return validation

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
        advice = "choose a lower --learning_rate and another --workdir"
        raise DivergedError(f"the {name} is {loss} {where}; {kept}: {advice}")

    def save(self) -> None:
        """Saves everything as it is after the last step."""
        self.loop.sync_moving_statistics()
        self.state.bad_images = {**self.context.dataset.bad_images_found}
        self.checkpoints.save(self.global_step)
        self.last_save_time = time.perf_counter()

    def stop(self) -> NoReturn:
        number = self.signal.received or signal.SIGTERM  # another worker's
        where = f"epoch {self.state.epoch}" + (f" and {self.state.step} steps" if self.state.step else "")
        raise TrainingInterrupted(
            f"stopped by {signal.Signals(number).name} after {where}; everything is saved, the same command continues", number
        )
