"""Files: written whole or not at all, under a temporary name that is then renamed; strict JSON; digests.

What is being written, or replaced, has a hidden name beside the final one, which tells its process: see `hidden_name`. If that
process is killed, the next to read or write the file puts an old folder back and removes what is left over: see `recover`.
What is written to a URL is made in a local temporary folder, and then uploaded to its final name.
"""

import contextlib
import errno
import functools
import hashlib
import json
import math
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from keras_resnet.remote import AnyPath, RemotePath, as_path

NEW, OLD, DISCARDED = "new", "old", "discarded"  # the states of a hidden file or folder
HIDDEN = re.compile(rf"({NEW}|{OLD}|{DISCARDED})-(\w+)-(\d{{1,10}})")  # what its name has between those of `path`
PATTERN = re.compile(r"[*?\[\\]")  # what makes a path a pattern for TensorFlow
AnyPathT = TypeVar("AnyPathT", bound=AnyPath)


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path next to `path`; renames it to `path`, a file or a folder, if nothing was raised.

    For a URL, the temporary path is a local one.
    """
    path = as_path(path)
    if isinstance(path, RemotePath):
        with tempfile.TemporaryDirectory(prefix="keras-resnet-") as folder:
            yield Path(folder) / path.name
            path.upload(Path(folder) / path.name)
        return
    temporary = hidden_name(path, NEW)
    try:
        with attach_path(path):
            recover(path)
            yield temporary
            replace(temporary, path)
    finally:
        remove(temporary)


def hidden_name(path: Path, state: str) -> Path:
    """The name of a file or folder of this process on its way to or from `path`, with the suffix that some writers need."""
    return path.with_name(f".{path.stem}.{state}-{host()}-{os.getpid()}{path.suffix}")


@functools.cache
def host() -> str:
    """A short name for this machine: others may write to the same disk, and a number tells a process on one machine only."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def recover(path: str | os.PathLike[str]) -> None:
    """Finishes what processes that were killed while they wrote `path` have left beside it.

    Where `path` itself is missing, the newest old content is put back; what else belongs to processes of this machine that have
    ended is removed. Does nothing where the folder cannot be changed.
    """
    path = Path(path)
    start, end = f".{path.stem}.", path.suffix
    with contextlib.suppress(OSError):
        beside = [other for other in path.parent.iterdir() if other.name.startswith(start) and other.name.endswith(end)]
        left = [(HIDDEN.fullmatch(other.name[len(start) : len(other.name) - len(end)]), other) for other in beside]
        left = [(match, other) for match, other in left if match and (match[2] != host() or has_ended(int(match[3])))]
        old = [other for match, other in left if match[1] == OLD]
        if old and not os.path.lexists(path):
            max(old, key=lambda other: other.lstat().st_mtime).rename(path)
        for match, other in left:
            if match[2] == host():
                remove(other)


def has_ended(process: int) -> bool:
    """Whether there is no process of that number on this machine; this one is not yet at what it asks about."""
    import psutil  # which takes longer than the rest of this module

    return process == os.getpid() or not psutil.pid_exists(process)


@contextlib.contextmanager
def attach_path(path: str | os.PathLike[str]) -> Iterator[None]:
    """Adds `path` to an `OSError` that does not name a file, such as a full disk's."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextlib.contextmanager
def tf_errors_as_oserror(path: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Raises TensorFlow's errors in writing files as an `OSError` about `path`."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        message = re.sub(r"{{.*?}}|\[Op:.*?\]", "", error.message.splitlines()[0]).strip()
        reason = message.rpartition("; ")[2]  # after the name of a temporary file
        raise OSError(errno.EIO, reason, None if path is None else str(path)) from error


@contextlib.contextmanager
def without_pattern(folder: AnyPathT) -> Iterator[AnyPathT | Path]:
    """Yields the folder, or a link to it if TensorFlow, which looks up checkpoints by pattern, would take its path for one.

    A copy, where no link can be made. Windows allows none of these characters in a name, and `as_path` none in a URL.
    """
    if isinstance(folder, RemotePath) or os.name == "nt" or not PATTERN.search(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="keras-resnet-") as parent:
        link = Path(parent) / "link"
        try:
            link.symlink_to(folder.absolute(), target_is_directory=True)
        except OSError:
            shutil.copytree(folder, link)
        yield link


@contextlib.contextmanager
def created_directory(path: AnyPath) -> Iterator[None]:
    """Creates a folder if it does not exist; removes it again if something is raised and the folder is empty."""
    new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def replace(source: Path, target: AnyPath) -> None:
    """Renames a file or a folder over `target`, whose old content is removed only once the new one is in place.

    To a URL it is copied.

    A folder is without its name for a moment; `recover` gives it back if this process is killed then.
    """
    if isinstance(target, RemotePath):
        target.upload(source)
    elif target.is_dir() and not target.is_symlink():
        old, discarded = hidden_name(target, OLD), hidden_name(target, DISCARDED)
        target.rename(old)
        try:
            source.rename(target)
        except BaseException:
            old.rename(target)
            raise
        old.rename(discarded)  # what is removed in part must not be taken for the old content
        remove(discarded)
    else:
        os.replace(source, target)


def remove(path: AnyPath) -> None:
    """Removes a file, a link or a folder, if it exists."""
    if isinstance(path, RemotePath):
        path.remove()
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file whole or not at all, with the same bytes on every system."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """Strict JSON: NaN and infinity, which it lacks, as null, and scalars of NumPy and TensorFlow as Python's."""
    return json.dumps(json_value(value), indent=indent, allow_nan=False)


def json_value(value: Any) -> Any:
    """Converts what `json_text` is given to what JSON has."""
    if isinstance(value, Mapping):
        return {key: json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if hasattr(value, "dtype"):
        value = np.asarray(value).item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
