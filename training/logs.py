"""What a run leaves to read, as Keras callbacks: a line or a bar for a person, `metrics.jsonl`, TensorBoard events."""

import json

import keras
import rich.console
import rich.progress
import tensorflow as tf

from keras_resnet.files import os_errors, write_text

METRICS_FILE = "metrics.jsonl"


def read_metrics(workdir):
    """The records of `metrics.jsonl`, one per epoch and one of the test; a line cut short or damaged ends the list."""
    path, records = workdir / METRICS_FILE, []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not isinstance(record, dict) or not ("test" in record or isinstance(record.get("epoch"), int)):
            break
        records.append(record)
    return records


class MetricsFile(keras.callbacks.Callback):
    """Appends a line of JSON per epoch; a continued run first drops the lines behind its checkpoint."""

    def __init__(self, workdir, epochs_done):
        super().__init__()
        self._path = workdir / METRICS_FILE
        kept = [record for record in read_metrics(workdir) if record.get("epoch", epochs_done + 1) <= epochs_done]
        write_text(self._path, "".join(json.dumps(record) + "\n" for record in kept))

    def on_epoch_end(self, epoch, logs=None):
        self.append({"epoch": epoch + 1, **logs})

    def on_test_end(self, logs=None):
        self.append({"test": logs})

    def append(self, record):
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


class EventFile(keras.callbacks.Callback):
    """TensorBoard scalars, by epoch."""

    def __init__(self, workdir):
        super().__init__()
        self._folder = workdir / "events"
        with os_errors(self._folder):
            self._writer = tf.summary.create_file_writer(str(self._folder))

    def on_epoch_end(self, epoch, logs=None):
        with os_errors(self._folder), self._writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
            self._writer.flush()


class Progress(keras.callbacks.Callback):
    """A plain line per epoch, on a terminal above a bar."""

    def __init__(self, epochs, steps_per_epoch, epochs_done):
        super().__init__()
        self._epochs, console = epochs, rich.console.Console(highlight=False, soft_wrap=True)
        self._bar = rich.progress.Progress(console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("training", total=epochs * steps_per_epoch, completed=epochs_done * steps_per_epoch)

    def on_train_begin(self, logs=None):
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update(self._task, completed=batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self._bar.console.print(
            f"epoch {epoch + 1:{len(str(self._epochs))}}/{self._epochs}  loss {logs['loss']:.4f}"
            f"  accuracy {logs['accuracy']:.2%}  validation {logs['val_accuracy']:.2%}"
            f"  rate {logs['learning_rate']:.4f}  {logs['images_per_second']:,.0f} images/s"
        )

    def on_train_end(self, logs=None):
        self._bar.stop()
