"""The kinds of split: images in memory, and encoded images that are decoded when they are needed."""

import dataclasses
import functools
import io
from typing import Protocol, Self

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_resnet.images import UnreadableImageError
from keras_resnet.preprocessing import Preprocessing, open_image

from ..recipes import JPEG_DECODINGS, Recipe
from .augmentation import HORIZONTAL_FLIP, MIRRORED, RANDOM_RESIZED_CROP
from .containers.records import DamagedRecordError, Records
from .decoding.bad_images import BadImages
from .decoding.crop_batches import CropBatches
from .decoding.kept_images import room_for
from .decoding.lazy_images import LazyImages
from .graph_functions import unconverted
from .parallel import BATCHES_AT_ONCE


class Split(Protocol):
    """Labeled images: what datasets provide and batches are made from.

    An image that turns out to be unreadable when it is used is replaced in training by the next one of the split, with its
    label, so that a run that is continued sees the same; in evaluation it is left out.
    """

    def __len__(self) -> int: ...

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,)"""
        ...

    @property
    def shape(self) -> tuple[int | None, int | None, int]:
        """(height, width, channels) of an image; None where they differ."""
        ...

    @property
    def sample(self) -> np.ndarray | None:
        """Images, uint8 (n, H, W, C), to learn their size and colors from; None if they have no size in common."""
        ...

    @property
    def augmentations_done(self) -> frozenset[str]:
        """Names of the augmentations that `training_batches` has already applied."""
        ...

    def take(self, indices: np.ndarray | slice) -> "Split":
        """Returns a split of the examples at `indices`, in this order."""
        ...

    def prepared(self, preprocessing: Preprocessing) -> "ArraySplit":
        """Returns a split of all images, each resized and cropped as `preprocessing` says."""
        ...

    def prepared_for_training(self, preprocessing: Preprocessing, recipe: Recipe) -> "Split":
        """Returns the split to train on: `prepared`, unless the recipe's random crops are better made while decoding."""
        ...

    def training_batches(
        self, examples: tf.data.Dataset, size: tuple[int, int], recipe: Recipe, again: bool = False
    ) -> tf.data.Dataset:
        """Returns batches to augment: (images uint8 (B, H, W, C), int64 (B,), which examples these are).

        Args:
            examples: (int64 (B,), which examples these are to be, and by the names of `augmentations_done` their random numbers
                (B, k)), see `augmentation.draw_augmentations`.
            size: (height, width) of the images.
            recipe: What says how they are augmented.
            again: Whether most images come up again in later epochs, so that keeping them in memory pays.
        """
        ...

    def forget(self) -> None:
        """Frees what `training_batches` keeps in memory, once nothing uses them any more."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySplit:
    """Images of one size. images: uint8 (N, H, W, C), an array or `LazyImages`. labels: int64 (N,)."""

    images: "np.ndarray | LazyImages"
    labels: np.ndarray

    augmentations_done = frozenset()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def sample(self) -> np.ndarray:
        return self.images[:]

    @functools.cached_property
    def _tensor(self) -> tf.Tensor:
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.images[:])

    def take(self, indices: np.ndarray | slice) -> "ArraySplit":
        taken = self.images.take(indices) if isinstance(self.images, LazyImages) else self.images[indices]
        return ArraySplit(taken, self.labels[indices])

    def readable_rows(self) -> np.ndarray:
        """Returns which images can be read; reads those that have not been read yet."""
        return self.images.readable_rows() if isinstance(self.images, LazyImages) else np.arange(len(self))

    def readable(self) -> "ArraySplit":
        """Returns a split of the images that can be read."""
        rows = self.readable_rows()
        return self if len(rows) == len(self) else self.take(rows)

    def prepared(self, preprocessing: Preprocessing) -> "ArraySplit":
        """Returns a split of all images, each resized and cropped as `preprocessing` says, or itself if they are already."""
        if self.shape == preprocessing.shape and preprocessing.crop_fraction == 1:
            return self
        images = LazyImages.of(self, preprocessing)
        return ArraySplit(images[:] if images.remembered else images, self.labels)

    def prepared_for_training(self, preprocessing: Preprocessing, recipe: Recipe) -> "ArraySplit":
        return self.prepared(preprocessing)

    def forget(self) -> None:
        """Does nothing: the images are those of the data set."""

    def prepared_image(self, index: int, preprocessing: Preprocessing) -> np.ndarray:
        """Returns an image, resized and cropped: uint8 (height, width, channels)."""
        return preprocessing.prepare(self.images[index : index + 1])[0]

    def batches(self, order: np.ndarray) -> tf.data.Dataset:
        """Returns (images uint8 (B, H, W, C), int64 (B,), which examples these are) for each row of the indices `order`."""
        return self._batches(tf.data.Dataset.from_tensor_slices(order.astype(np.int64, copy=False)))

    def _batches(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        if isinstance(self.images, LazyImages):
            read = functools.partial(tf.numpy_function, self.images.read, Tout=(tf.uint8, tf.int64), stateful=False)
        else:
            images = self._tensor

            def read(inputs: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
                return tf.gather(images, *inputs), inputs[0]

        def batch(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            pixels, used = read([rows])
            return tf.ensure_shape(pixels, (*rows.shape, *self.shape)), tf.ensure_shape(used, rows.shape)

        return rows.map(batch, num_parallel_calls=BATCHES_AT_ONCE, deterministic=True)

    def training_batches(
        self, examples: tf.data.Dataset, size: tuple[int, int], recipe: Recipe, again: bool = False
    ) -> tf.data.Dataset:
        """Returns the images: nothing is augmented yet."""
        return self._batches(examples.map(unconverted(lambda rows, draws: rows)))


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedSplit:
    """Encoded images of any size.

    records: The images, (N,). labels: int64 (N,). channels: 1 or 3, for all. bad_images: Takes note of unreadable ones.
    sample: See `Split`.
    """

    records: Records
    labels: np.ndarray
    channels: int
    bad_images: BadImages
    sample: np.ndarray | None = None

    augmentations_done = frozenset({RANDOM_RESIZED_CROP, HORIZONTAL_FLIP})

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[None, None, int]:
        """(None, None, channels): every image has a height and a width of its own."""
        return (None, None, self.channels)

    def take(self, indices: np.ndarray | slice) -> Self:
        return dataclasses.replace(self, records=self.records.take(indices), labels=self.labels[indices])

    def prepared(self, preprocessing: Preprocessing) -> ArraySplit:
        """Returns a split of all images, each resized and cropped as `preprocessing` says when it is first used."""
        return ArraySplit(LazyImages.of(self, preprocessing), self.labels)

    def prepared_for_training(self, preprocessing: Preprocessing, recipe: Recipe) -> "Split":
        """Returns the images still encoded if each is to be cropped at random, else `prepared`."""
        if recipe.min_crop_area:
            return dataclasses.replace(self, channels=preprocessing.channels)
        return self.prepared(preprocessing)

    def prepared_image(self, index: int, preprocessing: Preprocessing) -> np.ndarray:
        """Returns an image, resized and cropped: uint8 (height, width, channels).

        Raises:
            DamagedRecordError: It cannot be read.
        """
        return preprocessing.resize_and_crop(self.load(index, preprocessing.channels))

    def load(self, index: int, channels: int) -> Image.Image:
        """Reads and decodes an image.

        Raises:
            DamagedRecordError: It cannot be read, and is noted as such.
            BadImageError: The same, where that is to end the run.
            OSError: It cannot be read now.
        """
        try:
            content = self.records.read(index)
            try:
                return open_image(io.BytesIO(content), channels, self.records.location(index))
            except UnreadableImageError as error:
                raise DamagedRecordError(error.reason) from error
        except DamagedRecordError as error:
            self.bad_images.add(self.records.name(index), self.records.location(index), str(error))
            raise

    def training_batches(
        self, examples: tf.data.Dataset, size: tuple[int, int], recipe: Recipe, again: bool = False
    ) -> tf.data.Dataset:
        """Returns batches of random crops, decoded and cropped at once: uint8 (B, *size, C), and which examples they are."""
        crops = self._crop_batches(size, recipe.min_crop_area, recipe.jpeg_decoding, again)

        def to_crop(rows: tf.Tensor, draws: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            mirror = draws[HORIZONTAL_FLIP][:, 0] < MIRRORED if recipe.flip else tf.zeros_like(rows, tf.bool)
            return rows, draws[RANDOM_RESIZED_CROP], mirror

        return crops.batches(examples.map(unconverted(to_crop)))

    def _crop_batches(self, size: tuple[int, int], min_area: float, decoding: str, again: bool) -> CropBatches:
        """Returns the same for all epochs."""
        key = (size, min_area, decoding, again)
        if key not in self._made:
            room = self.room if again else 0
            self._made[key] = CropBatches(self, size, min_area, JPEG_DECODINGS[decoding], room)
        return self._made[key]

    @property
    def room(self) -> int:
        """Bytes that decoded images may take in memory, so that later epochs need not decode them again."""
        return room_for(self.records, self.channels)

    def forget(self) -> None:
        for batches in self._made.values():
            batches.forget()
        self._made.clear()

    @functools.cached_property
    def _made(self) -> dict[object, CropBatches]:
        return {}
