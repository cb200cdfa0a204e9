"""One run from configuration to `model.keras`."""

import contextlib
import dataclasses
import signal
import time

import keras

from keras_resnet.errors import Stopped

from . import callbacks as logs
from .checkpoints import Checkpoints, Position
from .config import open_workdir
from .context import Preparation
from .data.batches import Pass, Share
from .distribute.strategies import lost_workers_named
from .finalize import MODEL_FILE, conclude
from .guards import lost_pictures_named, refuse_divergence, refuse_other_data
from .loop import Sums
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
    ready = Preparation(config)
    own = open_workdir(workdir, config) if ready.chief else contextlib.nullcontext()
    with own, lost_workers_named(ready.strategy), lost_pictures_named():
        return Run(ready, workdir, callbacks).train()


class Run:
    """A training in its work directory, from the newest checkpoint there, if there is one."""

    def __init__(self, ready, workdir, callbacks=()):
        self.ready, self.config, self.recipe, self.loop = ready, ready.config, ready.recipe, ready.loop
        self.steps, self.workdir, self.position = ready.steps, workdir, Position(ready.data())
        with ready.strategy.scope():
            self.checkpoints = Checkpoints(
                workdir / "checkpoints",
                ready.model.weights,
                ready.step.state,
                self.position,
                kept=self.config.keep_checkpoints,
                chief=ready.chief,
            )
            self.checkpoints.restore_newest()
        refuse_other_data(self.position.data, ready.data(), workdir)
        own = []
        if ready.chief:
            epoch, step = self.position.epoch, self.position.step
            self.metrics, self.events = logs.MetricsFile(workdir, epoch), logs.EventFile(workdir)
            own = [self.metrics, self.events, logs.Progress(self.recipe.epochs, self.steps, epoch, step)]
        ready.model.optimizer, ready.model.stop_training = ready.update.optimizer, False  # as `compile` and `fit` set them
        plan = {"epochs": self.recipe.epochs, "steps": self.steps, "verbose": 0}
        self.callbacks = keras.callbacks.CallbackList([*own, *callbacks], model=ready.model, **plan)

    def train(self):
        """Trains to the end; returns the metrics on the test split, on the chief."""
        if self.ready.chief and not (self.position.epoch or self.position.step):
            images, _ = next(iter(self.ready.epoch(0).dataset(Share())))
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
        return conclude(self.ready, values, seconds, self.workdir, self.metrics, self.events)

    def train_epoch(self):
        """The rest of an epoch and a pass over the validation part, logged and saved."""
        position, first, began = self.position, self.position.step, time.perf_counter()
        self.callbacks.on_epoch_begin(position.epoch)
        self.saved = self.heard = began
        for call in self.loop.train(self.ready.epoch(position.epoch, first), Sums(*position.sums), self.asks):
            trained = self.hear(call)
            if (call.stop or call.save) and call.done < self.steps:
                self.save()
            if call.stop and call.done < self.steps:
                self.stop()
        trained["images_per_second"] = (self.steps - first) * self.recipe.batch_size / (time.perf_counter() - began)
        self.end_epoch(trained)
        if call.stop:
            self.stop()

    def asks(self):
        """What this worker wants before a call: to stop, to save."""
        overdue = time.perf_counter() - self.saved > 60 * self.config.checkpoint_minutes
        return self.signal.received is not None, overdue

    def hear(self, call):
        """After some steps: where we are, and whether it is any good. Returns what is logged."""
        position, now = self.position, time.perf_counter()
        rate = (call.done - position.step) * self.recipe.batch_size / (now - self.heard)
        position.seconds += now - self.heard
        position.step, position.sums, self.heard = call.done, dataclasses.astuple(call.sums), now
        step, learning_rate = position.epoch * self.steps + call.done, self.learning_rate(call.done)
        refuse_divergence("loss", call.sums.loss, position.epoch, step, learning_rate, self.checkpoints, bad=step - 1)
        logged = {**call.sums.means(), "learning_rate": learning_rate, "gradient_norm": call.gradient_norm}
        self.callbacks.on_train_batch_end(step - 1, {**logged, "images_per_second": rate})
        return logged

    def learning_rate(self, done):
        """That of the last of `done` steps of this epoch."""
        return float(self.ready.schedule(self.position.epoch * self.steps + done - 1))

    def end_epoch(self, trained):
        """Evaluates, with the averaged weights where there are such, logs and saves."""
        position, epoch = self.position, self.position.epoch + 1
        self.loop.agree()
        with self.ready.update.averaged():
            validated = self.loop.evaluate(Pass(self.ready.validation, self.recipe.batch_size))
            loss, step, rate = validated["loss"], epoch * self.steps, trained["learning_rate"]
            refuse_divergence("validation loss", loss, epoch - 1, step, rate, self.checkpoints, bad=step)
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
        self.loop.agree()
        self.checkpoints.save(self.position.epoch * self.steps + self.position.step)
        self.saved = time.perf_counter()

    def stop(self):
        number = self.signal.received or signal.SIGTERM  # another worker's
        where = f"epoch {self.position.epoch}" + (f" and {self.position.step} steps" if self.position.step else "")
        raise Stopped(
            f"stopped by {signal.Signals(number).name} after {where}; all is saved, and the same command continues", number
        )
