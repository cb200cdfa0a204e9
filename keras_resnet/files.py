"""Files: written whole or not at all, under a temporary name that is then renamed; strict JSON; digests."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

PATTERN = re.compile(r"[*?\[\\]")  # what makes a path a pattern for TensorFlow


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path next to `path`; renames it to `path`, a file or a folder, if nothing was raised."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with attach_path(path):
            yield temporary
            replace(temporary, path)
    finally:
        remove(temporary)


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
def without_pattern(folder: Path) -> Iterator[Path]:
    """Yields the folder, or a link to it if TensorFlow, which looks up checkpoints by pattern, would take its path for one.

    A copy, where no link can be made. Windows allows none of these characters in a name.
    """
    if os.name == "nt" or not PATTERN.search(str(folder)):
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
def created_directory(path: Path) -> Iterator[None]:
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


def replace(source: Path, target: Path) -> None:
    """Renames a file or a folder over `target`, whose old content is removed only once the new one is in place."""
    if target.is_dir():
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        source.rename(target)
        shutil.rmtree(old)
    else:
        os.replace(source, target)


def remove(path: Path) -> None:
    """Removes a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
