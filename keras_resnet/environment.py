"""The process's environment, which the command sets and the library leaves alone."""

import contextlib
import importlib
import logging
import os
import sys
import tempfile
import warnings

from keras_resnet.errors import UserError

VERBOSITIES = {"quiet": "3", "warning": "1", "info": "0"}  # TF_CPP_MIN_LOG_LEVEL


def configure(verbosity, tensorflow=True):
    """Before TensorFlow is imported: its log level, and oneDNN, which it only turns on by itself on some processors.

    `tensorflow`: whether it will be needed, and may as well be imported here, where its chatter is held back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", VERBOSITIES[verbosity])
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    quiet = verbosity == "quiet"
    if quiet:
        warnings.simplefilter("ignore")
        for name in ("absl", "tensorflow", "tf2onnx", "urllib3"):
            logging.getLogger(name).setLevel(logging.ERROR)
    if tensorflow:
        check_setting("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"), "tensorflow")
        with quiet_stderr() if quiet else contextlib.nullcontext():  # it talks while it is imported, whatever its log level
            keras = importlib.import_module("keras")
        check_setting("backend", keras.backend.backend(), "tensorflow")
        check_setting("image_data_format", keras.config.image_data_format(), "channels_last")


def check_setting(setting, value, needed):
    """Raises a `UserError` where Keras is set up, in the environment or in its keras.json, for what the command cannot do."""
    if value != needed:
        raise UserError(f"Keras' {setting} is {value!r}; the command runs with {needed} only")


@contextlib.contextmanager
def quiet_stderr():
    """Holds back what C++ code prints past Python; it is shown after all if an exception is raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except BaseException:
            sink.seek(0)
            os.write(kept, sink.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
