"""TensorBoard's view of a run."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from keras_resnet.files import tf_errors_as_oserror

from .reporting.image_grid import contact_sheet


class TensorBoardLogger(keras.callbacks.Callback):
    """TensorBoard scalars and images, named and foldered as by Keras' own callback.

    `train` and `validation` are runs of their own, whose `epoch_loss` TensorBoard draws into one chart; `batch_loss` and its
    like are by step. A folder appears with the first thing written to it.
    """

    def __init__(self, workdir):
        super().__init__()
        self._folder, self._writers = workdir / "events", {}

    def on_train_batch_end(self, batch, logs=None):
        self._scalars("train", "batch", batch, logs or {})

    def on_epoch_end(self, epoch, logs=None):
        validated = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        self._scalars("train", "epoch", epoch + 1, {k: v for k, v in logs.items() if not k.startswith("val_")})
        self._scalars("validation", "epoch", epoch + 1, validated)
        self._flush()

    def on_train_end(self, logs=None):
        self._flush()

    def images(self, name, images, step, run="train"):
        """The uint8 images (N, H, W, C) as one picture, small ones enlarged."""
        with self._writing(run):
            tf.summary.image(name, contact_sheet(np.asarray(images))[np.newaxis], step=step)
        self._flush()

    def _scalars(self, run, prefix, step, values):
        if values:
            with self._writing(run):
                for name, value in values.items():
                    tf.summary.scalar(f"{prefix}_{name}", value, step=step)

    @contextlib.contextmanager
    def _writing(self, run):
        with tf_errors_as_oserror(self._folder):
            if run not in self._writers:
                self._writers[run] = tf.summary.create_file_writer(str(self._folder / run))
            with self._writers[run].as_default():
                yield

    def _flush(self):
        for writer in self._writers.values():
            with tf_errors_as_oserror(self._folder):
                writer.flush()
