"""Encoded images that are read by their index, in whatever container they lie: what splits are made of."""

import dataclasses
import errno
import functools
import os
from collections.abc import Iterable, Sequence
from typing import Protocol, Self

import numpy as np
import tensorflow as tf

from keras_resnet import images
from keras_resnet.remote import is_remote

from .binary_files import FileVersion, local_version, open_binary, open_unchanged, version_of
from .packed_strings import PackedStrings

# What the file system says of a single file that will say the same tomorrow; after anything else the run had better stop.
LASTING = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)
MAX_ASKED = 1000  # files in a bucket, for each of which it is a request to ask for its size


class Records(Protocol):
    """Encoded images by index, in one of the formats of `keras_resnet.images`."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Returns what identifies an image in later runs, and in other containers: its path below the folder, or its key."""
        ...

    def location(self, index: int) -> str:
        """Returns where an image is, for messages: the file, and the key in it if it is a container."""
        ...

    def read(self, index: int) -> bytes:
        """Returns the encoded bytes.

        Raises:
            DamagedRecordError: They are not there, and will not be: this image is unusable, others are not.
            OSError: They cannot be read now, such as from a disk that is gone.
        """
        ...

    def take(self, rows: np.ndarray | slice) -> Self:
        """Returns the records at `rows`, in this order."""
        ...

    def total_bytes(self, limit: int) -> int:
        """Returns how many bytes the images have, encoded; it may stop counting above `limit`."""
        ...


class DamagedRecordError(Exception):
    """An image that cannot be read, today or tomorrow. Its text stands after the image's name."""


@dataclasses.dataclass(frozen=True, eq=False)
class FileRecords:
    """Images in files of their own.

    Attributes:
        root: What is put before each path, such as "/data/train/"; "" for none.
        paths: The rest of each path, encoded as `os.fsencode` does, which is also its name.
        rows: int64 (N,), which of the paths these images have.
    """

    root: str
    paths: PackedStrings
    rows: np.ndarray

    @classmethod
    def of(cls, root: str | os.PathLike[str], paths: PackedStrings | Iterable[str]) -> Self:
        """Makes records of all paths, which are relative to the folder `root`; with a root of "" they are whole."""
        packed = paths if isinstance(paths, PackedStrings) else PackedStrings.of(map(os.fsencode, paths))
        root = os.fspath(root)
        return cls(root and os.path.join(root, ""), packed, np.arange(len(packed)))

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        return os.fsdecode(self.paths[int(self.rows[index])])

    def location(self, index: int) -> str:
        return self.root + self.name(index)

    def read(self, index: int) -> bytes:
        path = self.location(index)
        try:
            with open_binary(path) if is_remote(path) else images.open_file(path) as file:
                return file.read()
        except OSError as error:
            if error.errno in (None, *LASTING) or (error.errno == errno.ENOENT and os.path.islink(path)):
                raise DamagedRecordError(error.strerror or str(error)) from error
            raise

    def take(self, rows: np.ndarray | slice) -> Self:
        return dataclasses.replace(self, rows=self.rows[rows])

    def total_bytes(self, limit: int) -> int:
        if is_remote(self.root) and len(self) > MAX_ASKED:
            return limit + 1
        total = 0
        for index in range(len(self)):
            try:
                total += version_of(self.location(index)).size
            except OSError:
                continue  # which reading says
            if total > limit:
                break
        return total

    def content(self, index: tf.Tensor) -> tf.Tensor:
        """Adds to a graph what reads the bytes at an index without Python: a string scalar."""
        path = self.paths.lookup(tf.gather(self._rows_tensor, index))
        return tf.io.read_file(tf.strings.join([os.fsencode(self.root), path]))

    @functools.cached_property
    def _rows_tensor(self) -> tf.Tensor:
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.rows)


@dataclasses.dataclass(frozen=True, eq=False)
class RangeRecords:
    """Images that are ranges of bytes in larger files, such as members of tar archives.

    Attributes:
        files: The paths of these files.
        keys: The name of each image.
        file_of, offsets, lengths: int32, int64 and int64 (M,), where each image lies; a length of -1 for one that is missing.
        rows: int64 (N,), which of the M these images are.
        versions: Of the files, when the images were listed.
    """

    files: Sequence[str]
    keys: PackedStrings
    file_of: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray
    versions: Sequence[FileVersion | None]

    @classmethod
    def of(
        cls, files: Sequence[str], keys: PackedStrings, file_of: np.ndarray, offsets: np.ndarray, lengths: np.ndarray
    ) -> Self:
        """Makes records of all images."""
        return cls(files, keys, file_of, offsets, lengths, np.arange(len(keys)), [*map(local_version, files)])

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        return os.fsdecode(self.keys[int(self.rows[index])])

    def location(self, index: int) -> str:
        return f"{self.files[int(self.file_of[self.rows[index]])]}: {self.name(index)}"

    def read(self, index: int) -> bytes:
        row = int(self.rows[index])
        number, offset, length = int(self.file_of[row]), int(self.offsets[row]), int(self.lengths[row])
        if length < 0:
            raise DamagedRecordError("has no image")
        with open_unchanged(self.files[number], self.versions[number]) as file:
            file.seek(offset)
            content = file.read(length)
        if len(content) < length:
            raise DamagedRecordError(f"ends at byte {offset + len(content):,} of its file, not at {offset + length:,}")
        return content

    def take(self, rows: np.ndarray | slice) -> Self:
        return dataclasses.replace(self, rows=self.rows[rows])

    def total_bytes(self, limit: int) -> int:
        return int(np.maximum(self.lengths[self.rows], 0).sum())


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledRecords:
    """The images of a split before any is decoded. labels: int64 (N,)."""

    records: Records
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)
