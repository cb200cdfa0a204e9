"""Sets up the process for the command; the library leaves a user's environment alone."""

import contextlib
import importlib
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from keras_resnet.errors import UserError, first_line

VERBOSITIES = {"quiet": "3", "warning": "1", "info": "0"}  # TF_CPP_MIN_LOG_LEVEL


def configure(verbosity: str, tensorflow: bool = True) -> None:
    """Sets TensorFlow's log level, and turns oneDNN on, which it does by itself only on some processors.

    To be called before TensorFlow is imported.

    Args:
        verbosity: a key of `VERBOSITIES`.
        tensorflow: whether TensorFlow will be needed. If so it is imported here, with its messages held back.

    Raises:
        UserError: if Keras is configured for another backend or number type, with the channels first, or wrongly.
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
        with quiet_stderr() if quiet else contextlib.nullcontext():  # prints while it is imported, whatever its log level
            keras = import_keras()
        check_setting("backend", keras.backend.backend(), "tensorflow")
        check_setting("image_data_format", keras.config.image_data_format(), "channels_last")
        check_setting("floatx", keras.config.floatx(), "float32")


def import_keras() -> Any:
    """Imports Keras, which reads keras.json then."""
    try:
        return importlib.import_module("keras")
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"Keras cannot be imported: {first_line(error)}. Its settings are in ~/.keras/keras.json") from error


def check_setting(setting: str, value: str, needed: str) -> None:
    """Raises a `UserError` if the environment or keras.json configures Keras in a way that the command cannot work with."""
    if value != needed:
        where = "the environment" if setting.isupper() else "keras.json, which is in KERAS_HOME or ~/.keras"
        raise UserError(f"Keras' {setting} is {value!r}; the command runs with {needed} only: change it in {where}")


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back what C++ code prints past Python, and shows it if an exception is raised."""
    if sys.stderr:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is none, as in a service
        yield
        return
    with open_sink() as sink:
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


def open_sink() -> IO[bytes]:
    """A temporary file, or, where there is no place for one, the null device."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")


def cores() -> int:
    """How many cores this process may use: fewer than the machine has under `taskset` or in a container of chosen cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_exit(status: int) -> str:
    """How a process ended, from the status that `subprocess` gives: below 0 for a signal, and large where Windows ended it."""
    if status < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"was killed by {names.get(-status, f'signal {-status}')}"
    return f"ended with exit status {status if status < 256 else hex(status)}"


def python_module(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of this package in another process, with the code that this process has.

    -P, as a source folder that the process happens to start in is not the installed package. A checkout from which this
    process imports the package, installed or not, is one that the other process has to be told.
    """
    root = Path(__file__).parent.parent
    if not (root / "setup.py").is_file():
        return [sys.executable, "-P", "-m", module, *arguments]
    program = f"import runpy, sys; sys.path.insert(0, {str(root)!r}); "
    program += f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-P", "-c", program, *arguments]
