"""Files that TensorFlow reaches by a URL, such as `gs://bucket/run`. Only for those is TensorFlow imported.

An object store has neither folders, nor renaming, nor locks. What is written to one has its final name at once, and is there
whole or not at all: an object appears when its upload has ended.
"""

import contextlib
import errno
import fnmatch
import io
import os
import queue
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeAlias

from keras_resnet.errors import UserError, comma_join

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # of two letters at least: C:\\ is a drive
BUILT_IN = ("gs", "ram")  # TensorFlow's own; a package such as tensorflow-io adds others when it is imported
NOT_REMOTE = ("", "file")
PATTERN = re.compile(r"[*?\[\]\\{}]")  # what makes a name a pattern for TensorFlow
SECONDS_TO_ANSWER = 60.0  # by itself TensorFlow goes on trying for many minutes
JSON_MESSAGE = re.compile(r'"message": "([^"]+)"')  # in what a server answers


def is_remote(path: object) -> bool:
    """Whether a path is a URL, of whatever scheme but `file:`. `C:\\` and `C:/` are drives."""
    match = URL.match(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else None
    return bool(match) and match[1] not in NOT_REMOTE


def schemes() -> tuple[str, ...]:
    """Those of the URLs that TensorFlow can open."""
    if "tensorflow" not in sys.modules:  # nobody can have added any
        return BUILT_IN
    return tuple(sorted({*_gfile().get_registered_schemes()} - {*NOT_REMOTE}))


class RemotePath(os.PathLike[str]):
    """A URL with the part of `pathlib.Path` that is needed here. `Path` itself makes `gs:/bucket` of `gs://bucket`.

    Its methods raise an `OSError` in one line that names the URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def __fspath__(self) -> str:
        return self._url

    __str__ = __fspath__

    def __repr__(self) -> str:
        return f"RemotePath({self._url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and os.fspath(other) == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __truediv__(self, name: str | os.PathLike[str]) -> Self:
        return type(self)(f"{self._url}/{os.fspath(name)}")

    @property
    def name(self) -> str:
        return self._url.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def parent(self) -> Self:
        above = self._url.rpartition("/")[0]
        return self if above.endswith(":/") else type(self)(above)  # a bucket is in none

    def with_name(self, name: str) -> Self:
        return self.parent / name

    def with_suffix(self, suffix: str) -> Self:
        return self.with_name(Path(self.name).with_suffix(suffix).name)

    def exists(self) -> bool:
        with self._errors():
            return _gfile().exists(self._url)

    def is_dir(self) -> bool:
        with self._errors():
            return _gfile().isdir(self._url)

    def is_file(self) -> bool:
        return self.exists() and not self.is_dir()

    def iterdir(self) -> Iterator[Self]:
        with self._errors():
            names = _gfile().listdir(self._url)
        return (self / name for name in sorted({name.rstrip("/") for name in names} - {""}))

    def glob(self, pattern: str) -> Iterator[Self]:
        """Those of `iterdir` whose names fit, if the folder is there."""
        with contextlib.suppress(FileNotFoundError):
            yield from (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Makes the folder, or in an object store a mark that stands for it; always as with these arguments."""
        with self._errors():
            _gfile().makedirs(self._url)

    def rmdir(self) -> None:
        if any(self.iterdir()):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), self._url)
        self.remove()

    def unlink(self, missing_ok: bool = False) -> None:
        with contextlib.suppress(FileNotFoundError) if missing_ok else contextlib.nullcontext(), self._errors():
            _gfile().remove(self._url)

    def remove(self) -> None:
        """Removes the file, or the folder with all that is in it, if it exists."""
        if self.is_dir():
            with self._errors():
                _gfile().rmtree(self._url)
        else:
            self.unlink(missing_ok=True)

    def open(self, mode: str = "r", encoding: str = "utf-8", errors: str = "strict") -> io.TextIOWrapper:
        """Opens a small file for reading text."""
        assert mode == "r"
        return io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding, errors)

    def read_bytes(self) -> bytes:
        with self._errors(), _gfile().GFile(self._url, "rb") as file:
            return file.read()

    def append_text(self, text: str) -> None:
        """Writes the file again with more at its end; an object cannot grow."""
        before = self.read_bytes() if self.exists() else b""
        self.make_way()
        with self._errors(), _gfile().GFile(self._url, "wb") as file:
            file.write(before + text.encode())

    def upload(self, source: Path) -> None:
        """Writes a local file, or all files in a folder, to here; a folder that is there already goes first."""
        if self.is_dir():
            self.remove()
        files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
        for file in files:
            target = self if file == source else self / file.relative_to(source).as_posix()
            target.make_way()
            with self._errors():
                if target.parent != self.parent:
                    _gfile().makedirs(str(target.parent))
                _gfile().copy(str(file), str(target), overwrite=True)

    def make_way(self) -> None:
        """Removes the file where TensorFlow would append to it, in `ram://`; elsewhere it is there until the new one is."""
        if self._url.startswith("ram://"):
            self.unlink(missing_ok=True)

    def download(self, target: Path) -> None:
        """Writes the file, or all files in the folder, to a local path.

        Raises:
            UserError: if a name in the folder leads out of it.
        """
        if not self.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._errors():
                _gfile().copy(self._url, str(target), overwrite=True)
            return
        target.mkdir(parents=True, exist_ok=True)
        for path in self.iterdir():
            if path.name in (".", "..") or "\\" in path.name:
                raise UserError(f"{self} has an entry {path.name!r}, which cannot be copied to a disk")
            path.download(target / path.name)

    def version(self) -> tuple[int, int]:
        """Its length and when it was written."""
        with self._errors():
            found = _gfile().stat(self._url)
        return found.length, found.mtime_nsec

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Raises TensorFlow's errors as an `OSError` about the URL."""
        import tensorflow as tf

        try:
            yield
        except tf.errors.NotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._url) from error
        except tf.errors.OpError as error:
            raise OSError(errno.EIO, reason(error.message), self._url) from error


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


def reason(message: str) -> str:
    """What TensorFlow says in several lines, of which a server's own message is the point, as one."""
    first = message.strip().splitlines()[0].strip() if message.strip() else "it gave no reason"
    said = JSON_MESSAGE.search(message)
    return f"{first.partition(' with body')[0]}: {said[1]}" if said else first


def _gfile() -> Any:
    import tensorflow as tf

    return tf.io.gfile
