"""Images that are resized and cropped when they are first used, and remembered from then on if memory allows."""

import math
import mmap
from collections.abc import Callable
from typing import Protocol, Self

import numpy as np

from keras_resnet.errors import UserError, print_message
from keras_resnet.preprocessing import Preprocessing

from ..containers.records import DamagedRecordError
from ..memory import available_memory, format_bytes
from ..parallel import parallel_map
from .bad_images import BadImageError

UNREAD, READ, BAD = 0, 1, 2  # states of an image


class ImageSource(Protocol):
    """The images before they are prepared."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray | slice) -> "ImageSource": ...

    def prepared_image(self, index: int, preprocessing: Preprocessing) -> np.ndarray:
        """Returns an image, resized and cropped: uint8 (height, width, channels).

        Raises:
            DamagedRecordError: It cannot be read.
        """
        ...


class LazyImages:
    """The prepared images of a split, prepared when they are first read: supports `len`, `shape` and `[rows]` of an array."""

    def __init__(
        self, split: ImageSource, preprocessing: Preprocessing, pixels: np.ndarray | None, state: np.ndarray | None = None
    ) -> None:
        """Takes what there is of the images.

        Args:
            split: The images before they are prepared.
            preprocessing: How.
            pixels: uint8 (N, H, W, C), where they are kept in memory; None if they are not.
            state: uint8 (N,), of each; by default `UNREAD`.
        """
        self.split, self.preprocessing = split, preprocessing
        self._pixels, self._state = pixels, np.zeros(len(split), np.uint8) if state is None else state

    @classmethod
    def of(cls, split: ImageSource, preprocessing: Preprocessing) -> Self:
        """Makes images that are remembered if all together take at most half of the available memory; says so if not."""
        needed, available = len(split) * math.prod(preprocessing.shape), available_memory() // 2
        if needed > available:
            side = f"{preprocessing.height}x{preprocessing.width}"
            print_message(
                f"{len(split):,} images of {side} pixels take {format_bytes(needed)}, half of the free memory is "
                f"{format_bytes(available)}: they are prepared again whenever they are needed"
            )
        return cls(split, preprocessing, sparse_array((len(split), *preprocessing.shape)) if needed <= available else None)

    def __len__(self) -> int:
        return len(self.split)

    @property
    def remembered(self) -> bool:
        """Whether images stay in memory once they are prepared."""
        return self._pixels is not None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), *self.preprocessing.shape)

    def __getitem__(self, rows: np.ndarray | slice | int) -> np.ndarray:
        wanted = np.arange(len(self))[rows]
        images, _ = self.read(np.atleast_1d(wanted))
        return images if wanted.ndim else images[0]

    def take(self, rows: np.ndarray | slice) -> "LazyImages":
        """Returns the images at `rows`, as far as they are prepared."""
        pixels = None if self._pixels is None else self._pixels[rows]
        return LazyImages(self.split.take(rows), self.preprocessing, pixels, self._state[rows])

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the images at `rows`, uint8 (n, H, W, C), or the next readable ones, and which they are, int64 (n,)."""
        rows = np.asarray(rows, np.int64)
        if self._pixels is not None and (self._state[rows] == READ).all():
            return self._pixels[rows], rows
        pixels, used = np.empty((len(rows), *self.preprocessing.shape), np.uint8), rows.copy()

        def read(place: int) -> None:
            pixels[place], used[place] = first_readable(self._prepare, rows[place], len(self))

        for _ in parallel_map(read, range(len(rows))):
            pass
        return pixels, used

    def readable_rows(self) -> np.ndarray:
        """Returns which images can be read; reads those that have not been read yet."""

        for _ in parallel_map(self._prepare, np.flatnonzero(self._state == UNREAD).tolist()):
            pass
        rows = np.flatnonzero(self._state == READ)
        if not len(rows):
            raise UserError(f"none of {len(self)} images can be read")
        return rows

    def _prepare(self, row: int) -> np.ndarray | None:
        """Returns an image, from memory if it is there; None if it cannot be read."""
        if self._state[row] == BAD:
            return None
        if self._state[row] == READ and self._pixels is not None:
            return self._pixels[row]
        try:
            image = self.split.prepared_image(row, self.preprocessing)
        except DamagedRecordError:
            self._state[row] = BAD
            return None
        if self._pixels is not None:
            self._pixels[row] = image
        self._state[row] = READ  # last: other threads look at it
        return image


def sparse_array(shape: tuple[int, ...]) -> np.ndarray:
    """Makes an array of uint8 that takes memory only where something has been written, a page of some kilobytes at a time.

    NumPy's own arrays ask Linux for pages of two megabytes.
    """
    memory = mmap.mmap(-1, max(1, math.prod(shape)))
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.uint8, math.prod(shape)).reshape(shape)


def first_readable(read: Callable[[int], np.ndarray | None], row: int, count: int) -> tuple[np.ndarray, int]:
    """Returns the first image from `row` on that `read` returns, after the last of `count` the first, and its index.

    Raises:
        BadImageError: There is none.
    """
    for index in ((row + step) % count for step in range(count)):
        if (image := read(index)) is not None:
            return image, index
    raise BadImageError(f"none of {count} images can be read")
