"""Files that are read at any place: of this machine, and at a URL such as gs://bucket/name that TensorFlow opens."""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import tensorflow as tf

from keras_resnet.errors import first_line


class FileVersion(NamedTuple):
    """What changes with a file's content. time: of its last change, in ns since 1970."""

    size: int
    time: int


def is_url(path: str) -> bool:
    return "://" in path


def open_binary(path: str) -> BinaryIO:
    """Opens a file for reading.

    Raises:
        OSError: It cannot be opened, at a URL too.
    """
    return io.BufferedReader(RemoteFile(path)) if is_url(path) else open(path, "rb")


class ContainerChangedError(OSError):
    """A file with many images that is not as it was when they were listed. Its text gets out of a pipeline of TensorFlow."""


def open_unchanged(path: str, version: FileVersion | None) -> BinaryIO:
    """Opens a file for reading that must be as it was when its `version` was asked for; None for one that is not compared.

    Raises:
        ContainerChangedError: It has changed.
        OSError: It cannot be opened.
    """
    file = open_binary(path)
    if version is not None:
        found = os.fstat(file.fileno())
        if (found.st_size, found.st_mtime_ns) != version:
            file.close()
            raise ContainerChangedError(f"{path} has changed since its images were listed")
    return file


def local_version(path: str) -> FileVersion | None:
    """The version of a file of this machine; None for one at a URL."""
    return None if is_url(path) else version_of(path)


def version_of(path: str) -> FileVersion:
    """Asks how long a file is, and when it was written."""
    if not is_url(path):
        found = os.stat(path)
        return FileVersion(found.st_size, found.st_mtime_ns)
    with remote_errors(path):
        found = tf.io.gfile.stat(path)
    return FileVersion(found.length, found.mtime_nsec)


def is_folder(path: str) -> bool:
    if not is_url(path):
        return os.path.isdir(path)
    with remote_errors(path):
        return tf.io.gfile.isdir(path)


def exists(path: str) -> bool:
    if not is_url(path):
        return os.path.exists(path)
    with remote_errors(path):
        return tf.io.gfile.exists(path)


def names_in(folder: str) -> list[str]:
    """Returns the sorted names of what is in a folder."""
    if not is_url(folder):
        return sorted(os.listdir(folder))
    with remote_errors(folder):
        return sorted({name.rstrip("/") for name in tf.io.gfile.listdir(folder)} - {""})


class RemoteFile(io.RawIOBase):
    """A file at a URL, with Python's exceptions."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path, self._position = path, 0
        with remote_errors(path):
            self._file = tf.io.gfile.GFile(path, "rb")
            self._size = self._file.size()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        wanted = max(min(len(buffer), self._size - self._position), 0)
        content = b""
        if wanted:
            with remote_errors(self._path):
                self._file.seek(self._position)
                content = self._file.read(wanted)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextlib.contextmanager
def remote_errors(path: str) -> Iterator[None]:
    """Raises TensorFlow's errors about the file at a URL as an `OSError`."""
    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, first_line(error), path) from error
