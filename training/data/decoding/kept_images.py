"""Decoded images that stay in memory, so that later epochs need not read and decode them again."""

import contextlib
import functools
import io
import math

import numpy as np
import tensorflow as tf

from keras_resnet.images import UnreadableImageError, opened

from ..containers.records import DamagedRecordError, FileRecords, Records
from ..memory import available_memory

LOOKED_AT, MARGIN = 64, 1.25  # images, to learn how large all are; the others may be larger
ALL = -1  # the index under which the bytes of all images are counted


class KeptImages:
    """Images, uint8 (H, W, C), by their indices, in tables of TensorFlow's that graphs write and read."""

    def __init__(self, room: int) -> None:
        """room: Bytes after which no more images are kept."""
        self._room = room
        # Others than anonymous ones stay as long as the process.
        table = functools.partial(tf.lookup.experimental.MutableHashTable, tf.int64, experimental_is_anonymous=True)
        with tf.init_scope(), tf.device("CPU:0"):
            self._images, self._sides = table(tf.string, ""), table(tf.int64, [0, 0])

    def sides(self, indices: tf.Tensor) -> tf.Tensor:
        """Returns height and width of those images that are kept, (0, 0) of others: int64 (N,) -> int32 (N, 2)."""
        return tf.ensure_shape(tf.cast(self._sides.lookup(indices), tf.int32), (*indices.shape, 2))

    def has_room(self) -> tf.Tensor:
        """Whether further images will be kept: a bool scalar."""
        return self._bytes() < self._room

    def get(self, index: tf.Tensor, channels: int) -> tf.Tensor:
        """Returns an image that is kept."""
        return tf.ensure_shape(tf.io.parse_tensor(self._images.lookup(index), tf.uint8), (None, None, channels))

    def keep(self, indices: tf.Tensor, sides: tf.Tensor, images: tf.Tensor) -> None:
        """Adds to a graph what keeps images that are not kept yet: int64 (N,), and of each what `to_keep` made of it."""
        new = (tf.strings.length(images) > 0) & (self.sides(indices)[:, 0] == 0)
        indices, sides, images = (tf.boolean_mask(values, new) for values in (indices, sides, images))
        with tf.control_dependencies([self._images.insert(indices, images)]):  # other threads look at the sides
            known = self._sides.insert(indices, sides)
        with tf.control_dependencies([known]):
            # Where threads meet, some bytes are not counted: a bound need not be exact.
            added = tf.reduce_sum(tf.cast(tf.strings.length(images), tf.int64))
            self._sides.insert(tf.constant(ALL, tf.int64), tf.stack([self._bytes() + added, 0]))

    def clear(self) -> None:
        """Frees the memory, at once."""
        indices, _ = self._sides.export()
        self._images.remove(indices)
        self._sides.remove(indices)

    def _bytes(self) -> tf.Tensor:
        return self._sides.lookup(tf.constant(ALL, tf.int64))[0]


def to_keep(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns an image for `KeptImages.keep`: height and width, int64 (2,), and a string scalar."""
    return tf.shape(pixels, tf.int64)[:2], tf.io.serialize_tensor(pixels)


def nothing_to_keep() -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what `to_keep` does, for an image that is not to be kept."""
    return tf.zeros(2, tf.int64), tf.constant("")


def room_for(records: Records, channels: int) -> int:
    """Returns how many bytes images may take: a quarter of the free memory, if all fit well into it by the sizes of some."""
    room, sizes = available_memory() // 4, []
    if not isinstance(records, FileRecords) and records.total_bytes(room) > room:
        return 0  # before any is read: from a parquet file they come by the hundred megabytes
    for index in np.linspace(0, len(records) - 1, min(len(records), LOOKED_AT)).astype(int):
        unreadable = contextlib.suppress(DamagedRecordError, UnreadableImageError, OSError)  # which decoding says
        with unreadable, opened(io.BytesIO(records.read(index))) as image:
            sizes.append(image.height * image.width * channels)
    return room if MARGIN * len(records) * np.mean(sizes or math.inf) <= room else 0
