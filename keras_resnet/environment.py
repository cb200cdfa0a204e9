"""The process's environment, which the command sets and the library leaves alone."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings

VERBOSITIES = {"quiet": "3", "warning": "1", "info": "0"}  # TF_CPP_MIN_LOG_LEVEL


def prepare(verbosity):
    """Before TensorFlow is imported: its log level, and oneDNN, which it only turns on by itself on some processors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", VERBOSITIES[verbosity])
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if verbosity != "quiet":
        return
    warnings.simplefilter("ignore")
    for name in ("absl", "tensorflow", "tf2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with quiet_stderr():  # the log level does not apply to what TensorFlow says while it is being imported
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


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
