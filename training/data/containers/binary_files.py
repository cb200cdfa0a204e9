"""Files that are read at any place: of this machine, and at a URL such as gs://bucket/name that TensorFlow opens."""

import io
import os
from typing import BinaryIO, NamedTuple

import tensorflow as tf

from keras_resnet.positioned_file import PositionedFile
from keras_resnet.remote import is_remote
from keras_resnet.remote_path import RemotePath, remote_errors


class FileVersion(NamedTuple):
    """What changes with a file's content. time: of its last change, in ns since 1970."""

    size: int
    time: int


def open_binary(path: str) -> BinaryIO:
    """Opens a file for reading.

    Raises:
        OSError: It cannot be opened, at a URL too.
    """
    return io.BufferedReader(RemoteFile(path)) if is_remote(path) else open(path, "rb")


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
    return None if is_remote(path) else version_of(path)


def version_of(path: str) -> FileVersion:
    """Asks how long a file is, and when it was written."""
    if is_remote(path):
        return FileVersion(*RemotePath(path).version())
    found = os.stat(path)
    return FileVersion(found.st_size, found.st_mtime_ns)


def is_folder(path: str) -> bool:
    return RemotePath(path).is_dir() if is_remote(path) else os.path.isdir(path)


def exists(path: str) -> bool:
    return RemotePath(path).exists() if is_remote(path) else os.path.exists(path)


def names_in(folder: str) -> list[str]:
    """Returns the sorted names of what is in a folder."""
    return sorted(path.name for path in RemotePath(folder).iterdir()) if is_remote(folder) else sorted(os.listdir(folder))


class RemoteFile(PositionedFile):
    """A file at a URL, with Python's exceptions."""

    def __init__(self, path: str) -> None:
        self._path = path
        with remote_errors(path):
            self._file = tf.io.gfile.GFile(path, "rb")
            super().__init__(self._file.size())

    def read_at(self, position: int, count: int) -> bytes:
        with remote_errors(self._path):
            self._file.seek(position)
            return self._file.read(count)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
