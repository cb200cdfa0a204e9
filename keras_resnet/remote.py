"""Files that TensorFlow reaches by a URL, such as `gs://bucket/run`. Only for those is TensorFlow imported.

An object store has neither folders, nor renaming, nor locks. What is written to one has its final name at once, and is there
whole or not at all: an object appears when its upload has ended.
"""

import os
import queue
import re
import sys
import threading
from pathlib import Path
from typing import TypeAlias

from keras_resnet.errors import UserError, comma_join
from keras_resnet.remote_path import RemotePath, gfile

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # of two letters at least: C:\\ is a drive
BUILT_IN = ("gs", "ram")  # TensorFlow's own; a package such as tensorflow-io adds others when it is imported
NOT_REMOTE = ("", "file")
PATTERN = re.compile(r"[*?\[\]\\{}]")  # what makes a name a pattern for TensorFlow
SECONDS_TO_ANSWER = 60.0  # by itself TensorFlow goes on trying for many minutes


def is_remote(path: object) -> bool:
    """Whether a path is a URL, of whatever scheme but `file:`. `C:\\` and `C:/` are drives."""
    match = URL.match(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else None
    return bool(match) and match[1] not in NOT_REMOTE


def schemes() -> tuple[str, ...]:
    """Those of the URLs that TensorFlow can open."""
    if "tensorflow" not in sys.modules:  # nobody can have added any
        return BUILT_IN
    return tuple(sorted({*gfile().get_registered_schemes()} - {*NOT_REMOTE}))


AnyPath: TypeAlias = Path | RemotePath


def as_path(path: str | os.PathLike[str]) -> AnyPath:
    """A `RemotePath` for a URL, a `Path` for every other path.

    Raises:
        UserError: for a scheme that TensorFlow does not know, a name that it would take for a pattern, and no name at all.
    """
    if isinstance(path, RemotePath) or not is_remote(path):
        return path if isinstance(path, RemotePath) else Path(path)
    url = os.fspath(path)
    scheme, _, name = url.partition("://")
    if scheme not in schemes():
        raise UserError(f"{url} has the scheme {scheme}, which is not implemented; the schemes are {comma_join(schemes())}")
    if not name.strip("/") or name.startswith("/"):
        raise UserError(f"{url} names no bucket: it must be like {scheme}://bucket/folder")
    if PATTERN.search(name):
        raise UserError(f"{url} would be a pattern for TensorFlow: it must have none of * ? [ ] {{ }} and \\")
    return RemotePath(url)


def as_local_path(path: str | os.PathLike[str]) -> Path:
    """A `Path`, for what only works on a disk.

    Raises:
        UserError: for a URL.
    """
    if is_remote(path):
        raise UserError(f"{os.fspath(path)} is a URL; it must be a path on this machine")
    return Path(path)


def check_reachable(path: AnyPath) -> None:
    """Raises a `UserError` if a URL's server refuses, or has not answered after `SECONDS_TO_ANSWER`; reads nothing."""
    if not isinstance(path, RemotePath):
        return
    answers: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            path.exists()
        except OSError as error:
            answers.put(error)
        else:
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        error = answers.get(timeout=SECONDS_TO_ANSWER)
        refused = error and (error.strerror or str(error))
    except queue.Empty:
        error, refused = None, f"there was no answer in {SECONDS_TO_ANSWER:.0f} s"
    if refused:
        raise UserError(f"{path} cannot be reached: {refused}; the schemes are {comma_join(schemes())}") from error
