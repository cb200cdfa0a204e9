"""Batches of random crops of encoded images, decoded and cropped at once by TensorFlow's operations wherever these can."""

import contextlib
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

import numpy as np
import tensorflow as tf
from PIL import Image

from ...recipes import JPEG_DECODINGS, JpegDecoding
from ..containers.records import DamagedRecordError, FileRecords, Records
from ..graph_functions import unconverted
from ..parallel import CORES
from .kept_images import KeptImages, nothing_to_keep, to_keep
from .lazy_images import first_readable
from .plain_images import is_plain_jpeg_with_notes, is_plain_png, sides_of_simple_jpegs
from .random_crops import crop_pixels, dct_method, decode_and_crop, mirrored, random_box, random_boxes

EXACT = JPEG_DECODINGS["exact"]

Crop: TypeAlias = tuple[tf.Tensor, ...]  # or several: pixels, the image's index, and the image itself for `KeptImages.keep`

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
    """Cuts a random box out of each image, see `random_crops.random_boxes`, and resizes it.

    A JPEG or PNG as most are is read, decoded and cropped in TensorFlow, with no Python. Every other image is decoded as for
    evaluation, and so is one that TensorFlow refuses; where that fails as well, the next readable image takes its place.
    """

    def __init__(
        self, split: Encoded, size: tuple[int, int], min_area: float, decoding: JpegDecoding = EXACT, room: int = 0
    ) -> None:
        """Takes what all batches have in common.

        Args:
            split: The images.
            size: (height, width) of the crops.
            min_area: The smallest fraction of an image's area that is cut out.
            decoding: How exactly JPEGs are decoded.
            room: Bytes of memory for decoded images, which are kept there for later epochs.
        """
        self._split, self._size, self._min_area, self._decoding = split, size, min_area, decoding
        self._kept = KeptImages(room) if room else None
        # Not traced by each map that calls it.
        vectors = [tf.TensorSpec(2, tf.int32), tf.TensorSpec(4, tf.int32), tf.TensorSpec(4)]
        flags = [tf.TensorSpec((), tf.bool), tf.TensorSpec((), tf.bool)]
        signature = [tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.string), *vectors, *flags]
        self._crop = tf.function(self._crop_of, input_signature=signature, autograph=False)
        self._pieces: dict[int, Callable[..., tuple[tf.Tensor, tf.Tensor]]] = {}  # by the number of images

    def batches(self, examples: tf.data.Dataset) -> tf.data.Dataset:
        """Returns (crops uint8 (B, *size, C), int64 (B,), which examples these are).

        Args:
            examples: (int64 (B,), which examples these are to be; float32 (B, 4), see `random_crops.random_boxes`; bool (B,),
                whether left and right are exchanged).
        """
        rows, *_ = cast(tuple[tf.TensorSpec, ...], examples.element_spec)
        count = cast(int, rows.shape[0])
        at_once = max(divisor for divisor in range(1, MAX_AT_ONCE + 1) if count % divisor == 0)
        pieces = examples.rebatch(at_once, drop_remainder=True)
        crops = pieces.map(self._traced(at_once), num_parallel_calls=CORES, deterministic=True).batch(count // at_once)

        def joined(crops: tf.Tensor, used: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.reshape(crops, (count, *self._size, self._split.channels)), tf.reshape(used, (count,))

        return crops.map(unconverted(joined))

    def forget(self) -> None:
        """Frees the images that are kept, once nothing uses the batches any more."""
        if self._kept:
            self._kept.clear()

    def _traced(self, count: int) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """Returns `_piece` of so many images, traced once for all epochs."""
        if count not in self._pieces:
            signature = [tf.TensorSpec(count, tf.int64), tf.TensorSpec((count, 4)), tf.TensorSpec(count, tf.bool)]
            self._pieces[count] = tf.function(self._piece, input_signature=signature, autograph=False)
        return self._pieces[count]

    def _piece(self, rows: tf.Tensor, uniforms: tf.Tensor, mirror: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns some crops, and which examples these are: from memory if all are there."""
        kept = self._kept
        if kept is None:
            crops, used, *_ = self._from_files(rows, uniforms, mirror, tf.constant(False))
            return crops, used
        sides = kept.sides(rows)

        def from_memory() -> tuple[tf.Tensor, tf.Tensor]:
            boxes = random_boxes(uniforms, sides, self._min_area)

            def crop(image: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
                row, box, mirror = image
                pixels = kept.get(row, self._split.channels)
                return mirrored(crop_pixels(pixels, box, self._size, self._decoding), mirror)

            of_crops = tf.TensorSpec((*self._size, self._split.channels), tf.uint8)
            return tf.map_fn(crop, (rows, boxes, mirror), fn_output_signature=of_crops), rows

        def from_files() -> tuple[tf.Tensor, tf.Tensor]:
            crops, used, *to_keep = self._from_files(rows, uniforms, mirror, kept.has_room())
            kept.keep(used, *to_keep)
            return crops, used

        return tf.cond(tf.reduce_all(sides > 0), from_memory, from_files)

    def _from_files(self, rows: tf.Tensor, uniforms: tf.Tensor, mirror: tf.Tensor, keep: tf.Tensor) -> Crop:
        """Returns crops made together, or image by image if TensorFlow refuses one of them.

        There is no table in here: functions that use one would be optimized again for each piece.
        """
        count = cast(int, rows.shape[0])
        piece = tf.data.Dataset.from_tensors((rows, self._contents(rows), uniforms, mirror, tf.fill(rows.shape, keep)))
        # Graphs have no `try`: what fails in `together` is left out of it, so that the first element of both is `one_by_one`'s,
        # which is only made then. An error that is not an image's comes up there again.
        together = piece.map(self._look).unbatch().map(self._crop).batch(count, drop_remainder=True)
        one_by_one = piece.unbatch().map(self._crop_or_decode).batch(count)
        made = together.ignore_errors().concatenate(one_by_one).take(1).get_single_element()
        shapes = ((*self._size, self._split.channels), (), (2,), ())
        return tuple(tf.ensure_shape(value, (count, *shape)) for value, shape in zip(made, shapes, strict=True))

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

    @unconverted
    def _look(
        self, rows: tf.Tensor, contents: tf.Tensor, uniforms: tf.Tensor, mirror: tf.Tensor, keep: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Returns what `_crop_of` takes, of all images at once."""
        records = self._split.records
        if isinstance(records, FileRecords):
            contents = tf.stack([records.content(row) for row in tf.unstack(rows)])
        sides = sides_of_simple_jpegs(contents)
        return rows, contents, sides, random_boxes(uniforms, sides, self._min_area), uniforms, mirror, keep

    def _crop_of(
        self,
        row: tf.Tensor,
        content: tf.Tensor,
        sides: tf.Tensor,
        box: tf.Tensor,
        uniforms: tf.Tensor,
        mirror: tf.Tensor,
        keep: tf.Tensor,
    ) -> Crop:
        """sides, box: As far as `sides_of_simple_jpegs` knows them."""
        channels = self._split.channels

        def crop_jpeg(box: tf.Tensor, width: tf.Tensor) -> Crop:
            def crop_all() -> Crop:
                pixels = tf.io.decode_jpeg(content, channels, dct_method=dct_method(self._decoding))
                return crop_pixels(pixels, box, self._size, self._decoding), row, *to_keep(pixels)

            def crop_part() -> Crop:
                return decode_and_crop(content, box, width, self._size, channels, self._decoding), row, *nothing_to_keep()

            return tf.cond(keep, crop_all, crop_part)

        def crop_jpeg_with_notes() -> Crop:
            sides = tf.image.extract_jpeg_shape(content)[:2]
            return crop_jpeg(random_box(uniforms, sides, self._min_area), sides[1])

        def crop_png() -> Crop:
            return self._crop_decoded(row, tf.io.decode_png(content, channels), uniforms, keep)

        def crop_other() -> Crop:
            return tf.cond(is_plain_png(content, channels), crop_png, lambda: self._decode(row, uniforms, keep))

        def crop_unknown() -> Crop:
            return tf.cond(is_plain_jpeg_with_notes(content), crop_jpeg_with_notes, crop_other)

        crop, *rest = tf.cond(sides[0] > 0, lambda: crop_jpeg(box, sides[1]), crop_unknown)
        return mirrored(crop, mirror), *rest

    @unconverted
    def _crop_or_decode(self, *image: tf.Tensor) -> Crop:
        """Returns the same as `_crop_of`, whatever is wrong with the image. It takes what `_look` does, of one image."""
        row, _, uniforms, mirror, keep = image

        def decode(row: tf.Tensor) -> Crop:
            crop, *rest = self._decode(row, uniforms, keep)
            return mirrored(crop, mirror), *rest

        alone = tf.data.Dataset.from_tensors(tuple(value[tf.newaxis] for value in image))
        cropped = alone.map(self._look).unbatch().map(self._crop).ignore_errors()
        decoded = tf.data.Dataset.from_tensors(row).map(unconverted(decode))
        return cropped.concatenate(decoded).take(1).get_single_element()

    def _decode(self, row: tf.Tensor, uniforms: tf.Tensor, keep: tf.Tensor) -> Crop:
        """Returns a crop decoded by Python: of an image or of the next one that can be read."""
        pixels, used = tf.numpy_function(self._pixels, [row], (tf.uint8, tf.int64), stateful=False)
        pixels, used = tf.ensure_shape(pixels, (None, None, self._split.channels)), tf.ensure_shape(used, ())
        return self._crop_decoded(used, pixels, uniforms, keep)

    def _crop_decoded(self, row: tf.Tensor, pixels: tf.Tensor, uniforms: tf.Tensor, keep: tf.Tensor) -> Crop:
        """Returns a crop of an image whose pixels are there."""
        box = random_box(uniforms, tf.shape(pixels)[:2], self._min_area)
        kept = tf.cond(keep, lambda: to_keep(pixels), nothing_to_keep)
        return crop_pixels(pixels, box, self._size, self._decoding), row, *kept

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
