"""Files appear whole or not at all: they are written under a temporary name and then renamed."""

import contextlib
import errno
import os
import re
import shutil
from pathlib import Path


@contextlib.contextmanager
def atomic(path):
    """Yields a temporary path beside `path`; renames it to `path`, a file or a folder, if nothing was raised."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with attach_path(path):
            yield temporary
            replace(temporary, path)
    finally:
        remove(temporary)


@contextlib.contextmanager
def attach_path(path):
    """An `OSError` that does not say which file it is about, such as a full disk's, is about `path`."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextlib.contextmanager
def tf_errors_as_oserror(path=None):
    """TensorFlow's errors in writing files, as Python's, about `path`."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        message = re.sub(r"{{.*?}}|\[Op:.*?\]", "", error.message.splitlines()[0]).strip()
        reason = message.rpartition("; ")[2]  # behind the name of a temporary file
        raise OSError(errno.EIO, reason, path and str(path)) from error


@contextlib.contextmanager
def created_directory(path):
    """Makes a folder, if there is none; if something is raised, it goes again, unless there is something in it."""
    new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def replace(source, target):
    """Renames a file or a folder over what is at `target`, which goes only once its successor is in place."""
    if target.is_dir():
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        source.rename(target)
        shutil.rmtree(old)
    else:
        os.replace(source, target)


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path, text):
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
