"""One run from configuration to `model.keras`."""

import contextlib
import dataclasses
import signal
import time

import keras

from keras_resnet.errors import TrainingInterrupted

from . import callbacks as logs
from .checkpoints import CheckpointManager, TrainState
from .config import open_workdir
from .context import TrainingContext
from .data.batches import EvalBatches, InputShard
from .distribute.strategies import collective_error_as_worker_lost
from .finalize import MODEL_FILE, evaluate_and_save
from .guards import check_loss_is_finite, check_same_data, missing_file_as_user_error
from .loop import MetricSums
from .signals import StopSignal

__all__ = ["MODEL_FILE", "Run", "train"]

SHOWN = 64  # images of the first batch, for TensorBoard


def train(config, workdir, callbacks=()):
    """Runs, or continues, the training that `config` describes; returns the loss and accuracy on the test split.

    The checkpoint that is best on the validation part becomes `workdir/model.keras`. What a user got wrong is a `UserError`,
    and nothing is overwritten. With several workers each runs this; only the chief writes, and the others return None.

    Args:
        config: a `TrainConfig`.
        workdir: a `pathlib.Path`.
        callbacks: of `keras.callbacks.Callback`; they hear of epochs, and of batches once per call of the host. One that sets
            `model.stop_training`, as `EarlyStopping` does, ends the training with that epoch. The learning rate is the
            recipe's: `model.optimizer` refuses another.

    Raises:
        Stopped: after SIGTERM or SIGINT, when all is saved.
        WorkerLost: when another worker has ended before its time.
    """
    ready = TrainingContext(config)
    own = open_workdir(workdir, config) if ready.chief else contextlib.nullcontext()
    with own, collective_error_as_worker_lost(ready.strategy), missing_file_as_user_error():
        return Run(ready, workdir, callbacks).train()


class Run:
    """A training in its work directory, from the newest checkpoint there, if there is one."""

    def __init__(self, ready, workdir, callbacks=()):
        self.ready, self.config, self.recipe, self.loop = ready, ready.config, ready.recipe, ready.loop
        self.steps, self.workdir, self.position = ready.steps, workdir, TrainState(ready.data())
        with ready.strategy.scope():
            self.checkpoints = CheckpointManager(
                workdir / "checkpoints",
                ready.model.weights,
                ready.step.state,
                self.position,
                max_to_keep=self.config.keep_checkpoints,
                chief=ready.chief,
            )
            self.checkpoints.restore_latest()
        check_same_data(self.position.data, ready.data(), workdir)
        own = []
        if ready.chief:
            epoch, step = self.position.epoch, self.position.step
            self.metrics, self.events = logs.JsonlLogger(workdir, epoch), logs.TensorBoardLogger(workdir)
            own = [self.metrics, self.events, logs.ProgressBar(self.recipe.epochs, self.steps, epoch, step)]
        ready.model.optimizer, ready.model.stop_training = ready.update.optimizer, False  # as `compile` and `fit` set them
        plan = {"epochs": self.recipe.epochs, "steps": self.steps, "verbose": 0}
        self.callbacks = keras.callbacks.CallbackList([*own, *callbacks], model=ready.model, **plan)

    def train(self):
        """Trains to the end; returns the metrics on the test split, on the chief."""
        if self.ready.chief and not (self.position.epoch or self.position.step):
            images, _ = next(iter(self.ready.epoch(0).dataset(InputShard())))
            self.events.images("first_batch", images[:SHOWN], step=0)
        self.callbacks.on_train_begin()
        try:
            with StopSignal() as self.signal:
                while self.position.epoch < self.recipe.epochs and not self.ready.model.stop_training:
                    self.train_epoch()
        finally:
            self.callbacks.on_train_end()
        self.checkpoints.restore_best()
        if not self.ready.chief:
            return None
        values, seconds = self.ready.model.get_weights(), self.position.seconds
        return evaluate_and_save(self.ready, values, seconds, self.workdir, self.metrics, self.events)

    def train_epoch(self):
        """The rest of an epoch and a pass over the validation part, logged and saved."""
        position, first, began = self.position, self.position.step, time.perf_counter()
        self.callbacks.on_epoch_begin(position.epoch)
        self.saved = self.last_report_time = began
        for call in self.loop.train(self.ready.epoch(position.epoch, first), MetricSums(*position.sums), self.poll_requests):
            trained = self.on_loop_output(call)
            if (call.stop or call.save) and call.done < self.steps:
                self.save()
            if call.stop and call.done < self.steps:
                self.stop()
        trained["images_per_second"] = (self.steps - first) * self.recipe.batch_size / (time.perf_counter() - began)
        self.end_epoch(trained)
        if call.stop:
            self.stop()

    def poll_requests(self):
        """What this worker wants before a call: to stop, to save."""
        overdue = time.perf_counter() - self.saved > 60 * self.config.checkpoint_minutes
        return self.signal.received is not None, overdue

    def on_loop_output(self, call):
        """After some steps: where we are, and whether it is any good. Returns what is logged."""
        position, now = self.position, time.perf_counter()
        rate = (call.done - position.step) * self.recipe.batch_size / (now - self.last_report_time)
        position.seconds += now - self.last_report_time
        position.step, position.sums, self.last_report_time = call.done, dataclasses.astuple(call.sums), now
        step, learning_rate = position.epoch * self.steps + call.done, self.learning_rate(call.done)
        check_loss_is_finite("loss", call.sums.loss, position.epoch, step, learning_rate, self.checkpoints, bad=step - 1)
        logged = {**call.sums.means(), "learning_rate": learning_rate, "gradient_norm": call.gradient_norm}
        self.callbacks.on_train_batch_end(step - 1, {**logged, "images_per_second": rate})
        return logged

    def learning_rate(self, done):
        """That of the last of `done` steps of this epoch."""
        return float(self.ready.schedule(self.position.epoch * self.steps + done - 1))

    def end_epoch(self, trained):
        """Evaluates, with the averaged weights where there are such, logs and saves."""
        position, epoch = self.position, self.position.epoch + 1
        self.loop.sync_moving_statistics()
        with self.ready.update.ema_weights():
            validated = self.loop.evaluate(EvalBatches(self.ready.validation, self.recipe.batch_size))
            loss, step, rate = validated["loss"], epoch * self.steps, trained["learning_rate"]
            check_loss_is_finite("validation loss", loss, epoch - 1, step, rate, self.checkpoints, bad=step)
            if (validated["accuracy"], -loss) > (position.best[0], -position.best[1]):
                self.checkpoints.save_best(step)
                position.best = [validated["accuracy"], loss]
        # Logged first: what stands behind the newest checkpoint is dropped when the run continues, but nothing fills a gap.
        logged = {**trained, **{f"val_{name}": value for name, value in validated.items()}}
        self.callbacks.on_epoch_end(epoch - 1, logged)
        position.epoch, position.step, position.sums = epoch, 0, [0.0, 0.0, 0.0]
        self.save()

    def save(self):
        """Everything, as it is after the last step that was heard of."""
        self.loop.sync_moving_statistics()
        self.checkpoints.save(self.position.epoch * self.steps + self.position.step)
        self.saved = time.perf_counter()

    def stop(self):
        number = self.signal.received or signal.SIGTERM  # another worker's
        where = f"epoch {self.position.epoch}" + (f" and {self.position.step} steps" if self.position.step else "")
        raise TrainingInterrupted(
            f"stopped by {signal.Signals(number).name} after {where}; all is saved, and the same command continues", number
        )
