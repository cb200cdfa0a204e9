"""Copies of what is at a URL, for libraries that only read from a disk: made once, and kept until this process ends."""

import atexit
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from keras_resnet.errors import UserError
from keras_resnet.remote import RemotePath, as_path, check_reachable

PREFIX = "keras-resnet-"  # of the temporary folder

_COPIES: dict[str, str] = {}  # {path of a copy: its URL}
_FILES: dict[tuple[str, int, int, tuple[str, ...]], Path] = {}  # {what was copied, as it was then: where to}
_NUMBERS = itertools.count()


def local(path: str | os.PathLike[str], beside: Sequence[str] = ()) -> str | os.PathLike[str]:
    """The path itself, or a copy of what is at a URL, which is kept until this process ends; see `as_given`.

    Args:
        path: of a file or folder.
        beside: names of other files in the same folder that are copied too, if they are there.

    Raises:
        UserError: if there is nothing at the URL, or it cannot be reached.
    """
    source = as_path(path)
    if not isinstance(source, RemotePath):
        return path
    check_reachable(source)
    if not source.exists():
        raise UserError(f"no file or folder {source}")
    key = None if source.is_dir() else (str(source), *source.version(), tuple(beside))
    if key in _FILES:
        return _FILES[key]
    folder = _temporary_folder() / str(next(_NUMBERS))
    for each in (source, *map(source.with_name, beside)):
        if each == source or each.is_file():
            each.download(folder / each.name)
            _COPIES[str(folder / each.name)] = str(each)
    if key:
        _FILES[key] = folder / source.name
    return folder / source.name


def remember_copy(copy: Path, url: str) -> None:
    """Makes `as_given` say the URL for a file that something else has fetched."""
    _COPIES[str(copy)] = url


def as_given(text: str) -> str:
    """A text in which the names of copies that `local` has made are the URLs that they were made from."""
    for copy, url in _COPIES.items():
        text = text.replace(copy, url)
    return text


@functools.cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
