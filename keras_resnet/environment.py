"""The process's environment, which the command sets and the library leaves alone."""

import contextlib
import importlib
import logging
import os
import sys
import tempfile
import warnings

VERBOSITIES = {"quiet": "3", "warning": "1", "info": "0"}  # TF_CPP_MIN_LOG_LEVEL


def prepare(verbosity, tensorflow=True):
    """Before TensorFlow is imported: its log level, and oneDNN, which it only turns on by itself on some processors.

    `tensorflow`: whether it will be needed, and may as well be imported here, where its chatter is held back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", VERBOSITIES[verbosity])
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if verbosity != "quiet":
        return
    warnings.simplefilter("ignore")
    for name in ("absl", "tensorflow", "tf2onnx", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if tensorflow:
        with quiet_stderr():  # the log level does not apply to what it says while it is being imported
            importlib.import_module("keras")


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
