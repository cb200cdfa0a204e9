"""What a run leaves to read, as Keras callbacks: `metrics.jsonl` here, TensorBoard events and the lines for a person beside.

All of them hear `on_train_batch_end(batch, logs)` once per call of the host, which is several steps: `batch` is the index of
the last of them in the whole run, from 0.
"""

import json
import math

import keras
import numpy as np

from keras_resnet.files import attach_path, write_text

from .events import TensorBoardLogger
from .progress import ProgressBar

__all__ = ["METRICS_FILE", "JsonlLogger", "ProgressBar", "TensorBoardLogger", "read_metrics"]

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


class JsonlLogger(keras.callbacks.Callback):
    """Appends a line of JSON per epoch; a continued run first drops the lines behind its checkpoint."""

    def __init__(self, workdir, epochs_done):
        super().__init__()
        self._path = workdir / METRICS_FILE
        kept = [record for record in read_metrics(workdir) if record.get("epoch", epochs_done + 1) <= epochs_done]
        write_text(self._path, "".join(json_line(record) for record in kept))

    def on_epoch_end(self, epoch, logs=None):
        self.append({"epoch": epoch + 1, **logs})

    def on_test_end(self, logs=None):
        self.append({"test": logs})

    def append(self, record):
        with attach_path(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json_line(record))


def json_line(record):
    return json.dumps(valid(record), allow_nan=False) + "\n"


def valid(value):
    """The same for JSON, which has no number that is not finite, and knows neither NumPy nor TensorFlow."""
    if isinstance(value, dict):
        return {key: valid(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [valid(inner) for inner in value]
    if hasattr(value, "dtype"):
        value = np.asarray(value).item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
