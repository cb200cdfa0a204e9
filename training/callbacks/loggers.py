"""What a run writes and shows while it trains, as Keras callbacks: `metrics.jsonl`, TensorBoard events, a progress bar.

Their `on_train_batch_end(batch, logs)` is called once per execution, which is several steps: `batch` is the index of the last
of them in the whole run, from 0.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from keras_resnet.errors import UserError, comma_join, print_message
from keras_resnet.files import attach_path, json_text, tf_errors_as_oserror, write_text
from keras_resnet.records import parse_json
from keras_resnet.remote import AnyPath, RemotePath

from ..reporting.image_grid import contact_sheet

METRICS_FILE = "metrics.jsonl"
MAX_LINE = 1 << 16  # characters
Logs = Mapping[str, Any] | None  # as Keras passes them to its callbacks


def read_metrics(workdir: AnyPath) -> list[dict[str, Any]]:
    """Reads the records of `metrics.jsonl`, one per epoch and one for the test, without damaged or incomplete lines."""
    path, records = workdir / METRICS_FILE, []
    if not path.is_file():
        return records
    with path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(MAX_LINE):
            with contextlib.suppress(UserError):
                if is_metrics(record := parse_json(line)):
                    records.append(record)
    return records


def is_metrics(record: Any) -> bool:
    """Whether a record is one of an epoch, counted from 1, or of the test, with numbers or null, which is for NaN."""
    if not isinstance(record, dict):
        return False
    if "test" in record:
        return isinstance(record["test"], dict | None) and all(map(is_number_or_null, (record["test"] or {}).values()))
    return type(record.get("epoch")) is int and 0 < record["epoch"] < 2**31 and all(map(is_number_or_null, record.values()))


def is_number_or_null(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


class JsonlLogger(keras.callbacks.Callback):
    """Appends a line of JSON per epoch; a continued run first drops the lines that were logged after its checkpoint."""

    def __init__(self, workdir: AnyPath, epochs_done: int) -> None:
        super().__init__()
        self._workdir, self._path, self._lost = workdir, workdir / METRICS_FILE, set[int]()
        records = read_metrics(workdir)
        kept = [record for record in records if record.get("epoch", epochs_done + 1) <= epochs_done]
        self._report_lost_epochs(kept, epochs_done)
        logged = max((record.get("epoch", 0) for record in records), default=0)
        if logged > epochs_done + 1:  # one epoch is logged before its checkpoint is written
            again = f"its run had come to epoch {logged}, but the newest checkpoint that is left is of epoch {epochs_done}"
            print_message(f"{self._path}: {again}; the rest is trained again")
        write_text(self._path, "".join(f"{json_text(record)}\n" for record in kept))

    def records(self) -> list[dict[str, Any]]:
        """Reads the records of the run, and names the epochs that were lost meanwhile."""
        records = read_metrics(self._workdir)
        self._report_lost_epochs(records, max((record.get("epoch", 0) for record in records), default=0))
        return records

    def _report_lost_epochs(self, records: Sequence[Mapping[str, Any]], epochs: int) -> None:
        """Names the epochs, of so many, whose lines are gone or cannot be read, each once."""
        there = {record.get("epoch") for record in records}
        if lost := {*range(1, epochs + 1)} - there - self._lost:
            self._lost |= lost
            names = comma_join(sorted(lost), 3)
            print_message(f"{self._path} has no readable line for epoch {names}; the other lines are used")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._append({"epoch": epoch + 1, **(logs or {})})

    def on_test_end(self, logs: Logs = None) -> None:
        self._append({"test": logs})

    def _append(self, record: dict[str, Any]) -> None:
        line = f"{json_text(record)}\n"
        if isinstance(self._path, RemotePath):
            self._path.append_text(line)
            return
        with attach_path(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line)


class TensorBoardLogger(keras.callbacks.Callback):
    """Writes TensorBoard scalars and images, with the names and folders of Keras' own callback.

    `train` and `validation` are runs of their own, whose `epoch_loss` TensorBoard draws into one chart; `batch_loss` and its
    like are by step. A folder appears with the first thing written to it.
    """

    def __init__(self, workdir: AnyPath) -> None:
        super().__init__()
        self._folder, self._writers = workdir / "events", {}

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._scalars("train", "batch", batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        training = {name: value for name, value in (logs or {}).items() if not name.startswith("val_")}
        validation = {name.removeprefix("val_"): value for name, value in (logs or {}).items() if name.startswith("val_")}
        self._scalars("train", "epoch", epoch + 1, training)
        self._scalars("validation", "epoch", epoch + 1, validation)
        self._flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._flush()

    def images(self, name: str, images: Any, step: int, run: str = "train") -> None:
        """Writes the uint8 images (N, H, W, C) as one contact sheet."""
        with self._writing(run):
            tf.summary.image(name, contact_sheet(np.asarray(images))[np.newaxis], step=step)
        self._flush()

    def _scalars(self, run: str, prefix: str, step: int, values: Mapping[str, Any]) -> None:
        if values:
            with self._writing(run):
                for name, value in values.items():
                    tf.summary.scalar(f"{prefix}_{name}", value, step=step)

    @contextlib.contextmanager
    def _writing(self, run: str) -> Iterator[None]:
        with tf_errors_as_oserror(self._folder):
            if run not in self._writers or self._was_removed(self._folder / run):
                self._writers[run] = tf.summary.create_file_writer(str(self._folder / run))
            with self._writers[run].as_default():
                yield

    def _was_removed(self, folder: AnyPath) -> bool:
        """Whether somebody has removed the folder of a run; not asked at a URL, where a writer writes all of its file again."""
        return not isinstance(folder, RemotePath) and not folder.is_dir()

    def _flush(self) -> None:
        for writer in self._writers.values():
            with tf_errors_as_oserror(self._folder):
                writer.flush()


SPEED_ESTIMATE_SECONDS = 120  # long enough that a validation does not upset the estimate of the time left
STEP_FORMATS = {"loss": "loss {:.4f}", "images_per_second": "{:,.0f} images/s"}
EPOCH_FORMATS = {
    "loss": "loss {:.4f}",
    "accuracy": "accuracy {:.2%}",
    "val_accuracy": "validation {:.2%}",
    "learning_rate": "learning rate {:.4f}",
    "images_per_second": "{:,.0f} images/s",
}


class ProgressBar(keras.callbacks.Callback):
    """Prints a plain line per epoch; on a terminal also shows a bar below."""

    def __init__(
        self, epochs: int, steps_per_epoch: int, epochs_done: int, steps_done: int = 0, console: Console | None = None
    ) -> None:
        """steps_done: those of the epoch after `epochs_done`, where a run continues in the middle of it."""
        super().__init__()
        self._epochs, self._steps, self._start = epochs, steps_per_epoch, epochs_done * steps_per_epoch + steps_done
        console = console or Console(highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[details]}"), TimeRemainingColumn())
        self._bar = Progress(
            *columns, console=console, disable=not console.is_interactive, speed_estimate_period=SPEED_ESTIMATE_SECONDS
        )
        self._task = self._bar.add_task(self._epoch(epochs_done), total=epochs * steps_per_epoch, details="")

    def on_train_begin(self, logs: Logs = None) -> None:
        epochs, steps = divmod(self._start, self._steps)
        if epochs == self._epochs:
            return
        if self._start:
            done = f"step {steps}/{self._steps} of {self._epoch(epochs)}" if steps else self._epoch(epochs - 1)
            self._print(f"continuing after {done}")
        self._bar.update(self._task, completed=self._start)
        self._bar.start()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        epoch, step = divmod(batch, self._steps)
        details = [f"step {step + 1:{len(str(self._steps))}}/{self._steps}", *formatted(logs, STEP_FORMATS)]
        self._bar.update(self._task, completed=batch + 1, description=self._epoch(epoch), details="  ".join(details))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._print("  ".join([self._epoch(epoch), *formatted(logs, EPOCH_FORMATS)]))

    def on_train_end(self, logs: Logs = None) -> None:
        with output_may_be_gone():
            self._bar.stop()

    def _print(self, line: str) -> None:
        with output_may_be_gone():
            self._bar.console.print(line)

    def _epoch(self, epoch: int) -> str:
        """The name of an epoch, counted from 0."""
        return f"epoch {min(epoch + 1, self._epochs):{len(str(self._epochs))}}/{self._epochs}"


@contextlib.contextmanager
def output_may_be_gone() -> Iterator[None]:
    """Inside, it is no error if the terminal has been closed, or who read the output has ended: the training goes on."""
    with contextlib.suppress(OSError, SystemExit):  # the latter is what rich raises for a broken pipe
        yield


def formatted(logs: Logs, formats: Mapping[str, str]) -> list[str]:
    """Each of the logs that has a format, as text."""
    return [text.format(logs[name]) for name, text in formats.items() if name in logs] if logs else []
