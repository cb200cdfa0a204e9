"""What is at a URL, with the part of `pathlib.Path` that this package needs, and with Python's exceptions."""

import contextlib
import errno
import fnmatch
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from keras_resnet.errors import UserError

JSON_MESSAGE = re.compile(r'"message": "([^"]+)"')  # in what a server answers


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
        with remote_errors(self._url):
            return gfile().exists(self._url)

    def is_dir(self) -> bool:
        with remote_errors(self._url):
            return gfile().isdir(self._url)

    def is_file(self) -> bool:
        return self.exists() and not self.is_dir()

    def iterdir(self) -> Iterator[Self]:
        with remote_errors(self._url):
            names = gfile().listdir(self._url)
        return (self / name for name in sorted({name.rstrip("/") for name in names} - {""}))

    def glob(self, pattern: str) -> Iterator[Self]:
        """Those of `iterdir` whose names fit, if the folder is there."""
        with contextlib.suppress(FileNotFoundError):
            yield from (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Makes the folder, or in an object store a mark that stands for it; always as with these arguments."""
        with remote_errors(self._url):
            gfile().makedirs(self._url)

    def rmdir(self) -> None:
        if any(self.iterdir()):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), self._url)
        self.remove()

    def unlink(self, missing_ok: bool = False) -> None:
        with contextlib.suppress(FileNotFoundError) if missing_ok else contextlib.nullcontext(), remote_errors(self._url):
            gfile().remove(self._url)

    def remove(self) -> None:
        """Removes the file, or the folder with all that is in it, if it exists."""
        if self.is_dir():
            with remote_errors(self._url):
                gfile().rmtree(self._url)
        else:
            self.unlink(missing_ok=True)

    def open(self, mode: str = "r", encoding: str = "utf-8", errors: str = "strict") -> io.TextIOWrapper:
        """Opens a small file for reading text."""
        assert mode == "r"
        return io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding, errors)

    def read_bytes(self) -> bytes:
        with remote_errors(self._url), gfile().GFile(self._url, "rb") as file:
            return file.read()

    def append_text(self, text: str) -> None:
        """Writes the file again with more at its end; an object cannot grow."""
        before = self.read_bytes() if self.exists() else b""
        self.make_way()
        with remote_errors(self._url), gfile().GFile(self._url, "wb") as file:
            file.write(before + text.encode())

    def upload(self, source: Path) -> None:
        """Writes a local file, or all files in a folder, to here; a folder that is there already goes first."""
        if self.is_dir():
            self.remove()
        files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
        for file in files:
            target = self if file == source else self / file.relative_to(source).as_posix()
            target.make_way()
            with remote_errors(self._url):
                if target.parent != self.parent:
                    gfile().makedirs(str(target.parent))
                gfile().copy(str(file), str(target), overwrite=True)

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
            with remote_errors(self._url):
                gfile().copy(self._url, str(target), overwrite=True)
            return
        target.mkdir(parents=True, exist_ok=True)
        for path in self.iterdir():
            if path.name in (".", "..") or "\\" in path.name:
                raise UserError(f"{self} has an entry {path.name!r}, which cannot be copied to a disk")
            path.download(target / path.name)

    def version(self) -> tuple[int, int]:
        """Its length and when it was written."""
        with remote_errors(self._url):
            found = gfile().stat(self._url)
        return found.length, found.mtime_nsec


@contextlib.contextmanager
def remote_errors(url: str) -> Iterator[None]:
    """Raises TensorFlow's errors about what is at a URL as an `OSError`."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, reason(error.message), url) from error


def reason(message: str) -> str:
    """What TensorFlow says in several lines, of which a server's own message is the point, as one."""
    first = message.strip().splitlines()[0].strip() if message.strip() else "it gave no reason"
    said = JSON_MESSAGE.search(message)
    return f"{first.partition(' with body')[0]}: {said[1]}" if said else first


def gfile() -> Any:
    import tensorflow as tf

    return tf.io.gfile
