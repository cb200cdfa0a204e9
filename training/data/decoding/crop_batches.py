"""Batches of random crops of encoded images, decoded and cropped at once by TensorFlow's operations wherever these can."""

import contextlib
from typing import Protocol, cast

import numpy as np
import tensorflow as tf
from PIL import Image

from ...recipes import JPEG_DECODINGS, JpegDecoding
from ..containers.records import DamagedRecordError, FileRecords, Records
from ..parallel import CORES
from .lazy_images import first_readable
from .plain_images import is_plain_jpeg, is_plain_png
from .random_crops import crop_pixels, decode_and_crop, mirrored

EXACT = JPEG_DECODINGS["exact"]

unconverted = tf.autograph.experimental.do_not_convert  # tf.data would have AutoGraph read the functions' source

MAX_AT_ONCE = 16  # images of a batch that a thread makes together


class Encoded(Protocol):
    """What `splits.EncodedSplit` has of this."""

    @property
    def records(self) -> Records: ...

    @property
    def channels(self) -> int: ...

    def __len__(self) -> int: ...

    def load(self, index: int, channels: int) -> Image.Image: ...


class CropBatches:
    """Cuts a random box out of each image, see `random_crops.random_box`, and resizes it.

    A JPEG or PNG as most are is read, decoded and cropped in TensorFlow, with no Python. Every other image is decoded as for
    evaluation, and so is one that TensorFlow refuses; where that fails as well, the next readable image takes its place.
    """

    def __init__(self, split: Encoded, size: tuple[int, int], min_area: float, decoding: JpegDecoding = EXACT) -> None:
        """size: (height, width) of the crops. min_area: The smallest fraction of an image's area that is cut out."""
        self._split, self._size, self._min_area, self._decoding = split, size, min_area, decoding
        # Traced once, for all epochs, and not by each map that calls it.
        scalars = [tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.string), tf.TensorSpec(4), tf.TensorSpec((), tf.bool)]
        self._crop = tf.function(self._crop_of, input_signature=scalars, autograph=False)

    def batches(self, order: np.ndarray, uniforms: np.ndarray, mirrored: np.ndarray | None = None) -> tf.data.Dataset:
        """Returns (crops uint8 (B, *size, C), int64 (B,), which examples these are).

        Args:
            order: Indices (batches, B).
            uniforms: float32 (batches, B, 4), see `random_crops.random_box`.
            mirrored: bool (batches, B), whether left and right are exchanged; None for nowhere.
        """
        mirrored = np.zeros(order.shape, bool) if mirrored is None else mirrored
        count = order.shape[1]
        at_once = max(divisor for divisor in range(1, MAX_AT_ONCE + 1) if count % divisor == 0)

        def pieces(values: np.ndarray) -> np.ndarray:
            return values.reshape(-1, at_once, *values.shape[2:])

        slices = tf.data.Dataset.from_tensor_slices(
            (pieces(order.astype(np.int64, copy=False)), pieces(uniforms), pieces(mirrored))
        )
        crops = slices.map(self._piece, num_parallel_calls=CORES, deterministic=True).batch(count // at_once)

        def joined(crops: tf.Tensor, used: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.reshape(crops, (count, *self._size, self._split.channels)), tf.reshape(used, (count,))

        return crops.map(unconverted(joined))

    @unconverted
    def _piece(self, rows: tf.Tensor, uniforms: tf.Tensor, mirror: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns some crops: made together, or image by image if TensorFlow refuses one of them."""
        count = cast(int, rows.shape[0])
        images = tf.data.Dataset.from_tensor_slices((rows, self._contents(rows), uniforms, mirror))
        # Graphs have no `try`: what fails in `together` is left out of it, so that the first element of both is `one_by_one`'s,
        # which is only made then. An error that is not an image's comes up there again.
        together = images.map(self._crop).batch(count, drop_remainder=True)
        one_by_one = images.map(unconverted(self._crop_or_decode)).batch(count)
        crops, used = together.ignore_errors().concatenate(one_by_one).take(1).get_single_element()
        return tf.ensure_shape(crops, (count, *self._size, self._split.channels)), tf.ensure_shape(used, (count,))

    def _contents(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of images that only Python can read, "" for those that cannot be read; else only ""."""
        if isinstance(self._split.records, FileRecords):
            return tf.fill(tf.shape(rows), "")
        return tf.ensure_shape(tf.numpy_function(self._read, [rows], tf.string, stateful=False), rows.shape)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        contents = np.full(len(rows), b"", object)
        for place, row in enumerate(rows):
            with contextlib.suppress(DamagedRecordError, OSError):  # which decoding meets again, and says
                contents[place] = self._split.records.read(row)
        return contents

    def _crop_of(
        self, row: tf.Tensor, content: tf.Tensor, uniforms: tf.Tensor, mirror: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a crop, and the index of its image."""
        records = self._split.records
        content = records.content(row) if isinstance(records, FileRecords) else content
        channels, size, min_area, decoding = self._split.channels, self._size, self._min_area, self._decoding

        def crop_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
            return decode_and_crop(content, uniforms, size, channels, min_area, decoding), row

        def crop_png() -> tuple[tf.Tensor, tf.Tensor]:
            return crop_pixels(tf.io.decode_png(content, channels), uniforms, size, min_area, decoding), row

        def crop_other() -> tuple[tf.Tensor, tf.Tensor]:
            return tf.cond(is_plain_png(content, channels), crop_png, lambda: self._decode(row, uniforms))

        crop, used = tf.cond(is_plain_jpeg(content), crop_jpeg, crop_other)
        return mirrored(crop, mirror), used

    def _crop_or_decode(self, *image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The same, for any image."""

        def decode(row: tf.Tensor, content: tf.Tensor, uniforms: tf.Tensor, mirror: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            crop, used = self._decode(row, uniforms)
            return mirrored(crop, mirror), used

        given = tf.data.Dataset.from_tensors(image)
        decoded = given.map(unconverted(decode))
        return given.map(self._crop).ignore_errors().concatenate(decoded).take(1).get_single_element()

    def _decode(self, row: tf.Tensor, uniforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a crop decoded by Python, of an image or of the next one that can be read, and the index of that."""
        pixels, used = tf.numpy_function(self._pixels, [row], (tf.uint8, tf.int64), stateful=False)
        pixels = tf.ensure_shape(pixels, (None, None, self._split.channels))
        crop = crop_pixels(pixels, uniforms, self._size, self._min_area, self._decoding)
        return crop, tf.ensure_shape(used, ())

    def _pixels(self, row: int) -> tuple[np.ndarray, np.int64]:
        """Returns the first readable image from `row` on, uint8 (H, W, C), and its index."""
        channels = self._split.channels

        def load(index: int) -> np.ndarray | None:
            try:
                image = self._split.load(index, channels)
            except DamagedRecordError:
                return None
            return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)

        pixels, used = first_readable(load, int(row), len(self._split))
        return pixels, np.int64(used)
