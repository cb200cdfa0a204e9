"""The kinds of split: images in memory, and encoded images that are decoded when they are needed."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

from keras_resnet.errors import print_message
from keras_resnet.preprocessing import Preprocessing

from ..recipes import Recipe
from .augmentation import RANDOM_RESIZED_CROP
from .encoded_images import EncodedImage, load
from .memory import available_memory, format_bytes
from .parallel import CORES, parallel_map
from .random_crops import decode_and_crop
from .tf_decoding import decode_png, is_intact_jpeg

BATCHES_AT_ONCE = min(8, CORES)  # that threads prepare at the same time; more only take memory


class Split(Protocol):
    """Labeled images: what datasets provide and batches are made from."""

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
    def augmentations_done(self) -> frozenset[str]:
        """Names of the augmentations that `training_batches` has already applied."""
        ...

    def take(self, indices: np.ndarray | slice) -> "Split":
        """Returns a split of the examples at `indices`, in this order."""
        ...

    def prepare(self, preprocessing: Preprocessing) -> np.ndarray:
        """Returns all images, resized and cropped as `preprocessing` says: uint8 (N, height, width, channels)."""
        ...

    def prepared(self, preprocessing: Preprocessing) -> "ArraySplit":
        """Returns a split of all images, each resized and cropped as `preprocessing` says."""
        ...

    def prepared_for_training(self, preprocessing: Preprocessing, recipe: Recipe) -> "Split":
        """Returns the split to train on: `prepared`, unless the recipe's random crops are better made while decoding."""
        ...

    def training_batches(
        self, order: np.ndarray, draws: Mapping[str, np.ndarray], size: tuple[int, int], recipe: Recipe
    ) -> tf.data.Dataset:
        """Returns batches to augment, uint8 (B, H, W, C).

        Args:
            order: Indices (batches, B).
            draws: Random numbers (batches, B, k) by augmentation, see `augmentation.draw_augmentations`.
            size: (height, width) of the images.
            recipe: What says how they are augmented.
        """
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySplit:
    """Images of one size in memory. images: uint8 (N, H, W, C), an array or `LazyImages`. labels: int64 (N,)."""

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

    @functools.cached_property
    def _tensor(self) -> tf.Tensor:
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.images[:])

    def take(self, indices: np.ndarray | slice) -> "ArraySplit":
        return ArraySplit(self.images[indices], self.labels[indices])

    def prepare(self, preprocessing: Preprocessing) -> np.ndarray:
        """Returns all images, resized and cropped as `preprocessing` says: uint8 (N, height, width, channels)."""
        return preprocessing.prepare(self.images[:])

    def prepared(self, preprocessing: Preprocessing) -> "ArraySplit":
        """Returns a split of all images, each resized and cropped as `preprocessing` says, or itself if they are already."""
        if self.shape == preprocessing.shape and preprocessing.crop_fraction == 1:
            return self
        return ArraySplit(prepare_if_memory_allows(self, preprocessing), self.labels)

    def prepared_for_training(self, preprocessing: Preprocessing, recipe: Recipe) -> "ArraySplit":
        return self.prepared(preprocessing)

    def batches(self, order: np.ndarray) -> tf.data.Dataset:
        """Returns batches, uint8 (B, H, W, C), one for each row of the indices `order`, (batches, B)."""
        if isinstance(self.images, LazyImages):
            gather = functools.partial(tf.numpy_function, self.images.__getitem__, Tout=tf.uint8, stateful=False)
        else:
            images = self._tensor

            def gather(inputs: list[tf.Tensor]) -> tf.Tensor:
                return tf.gather(images, *inputs)

        def batch(rows: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(gather([rows]), (order.shape[1], *self.shape))

        return tf.data.Dataset.from_tensor_slices(order).map(batch, num_parallel_calls=BATCHES_AT_ONCE, deterministic=True)

    def training_batches(
        self, order: np.ndarray, draws: Mapping[str, np.ndarray], size: tuple[int, int], recipe: Recipe
    ) -> tf.data.Dataset:
        """Returns `batches(order)`: nothing is augmented yet."""
        return self.batches(order)


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedSplit:
    """Encoded images of any size.

    encoded: `EncodedImage`s (N,). labels: int64 (N,). tf_decodable: bool (N,), whether TensorFlow decodes an image to the
    same pixels as `keras_resnet.images`, or refuses it. channels: 1 or 3, for all.
    """

    encoded: np.ndarray
    labels: np.ndarray
    tf_decodable: np.ndarray
    channels: int

    augmentations_done = frozenset({RANDOM_RESIZED_CROP})

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[None, None, int]:
        """(None, None, channels): every image has a height and a width of its own."""
        return (None, None, self.channels)

    def take(self, indices: np.ndarray | slice) -> "EncodedSplit":
        return EncodedSplit(self.encoded[indices], self.labels[indices], self.tf_decodable[indices], self.channels)

    def prepare(self, preprocessing: Preprocessing) -> np.ndarray:
        """Decodes all images, each resized and cropped as `preprocessing` says: uint8 (N, height, width, channels)."""
        images = np.empty((len(self), *preprocessing.shape), np.uint8)

        def prepare(index: int) -> None:
            images[index] = preprocessing.resize_and_crop(load(self.encoded[index], preprocessing.channels))

        for _ in parallel_map(prepare, range(len(self))):
            pass
        return images

    def prepared(self, preprocessing: Preprocessing) -> ArraySplit:
        """Returns a split of all images, each resized and cropped as `preprocessing` says."""
        return ArraySplit(prepare_if_memory_allows(self, preprocessing), self.labels)

    def prepared_for_training(self, preprocessing: Preprocessing, recipe: Recipe) -> "Split":
        """Returns the images still encoded if each is to be cropped at random, else `prepared`."""
        if recipe.min_crop_area:
            return dataclasses.replace(self, channels=preprocessing.channels)
        return self.prepared(preprocessing)

    def training_batches(
        self, order: np.ndarray, draws: Mapping[str, np.ndarray], size: tuple[int, int], recipe: Recipe
    ) -> tf.data.Dataset:
        """Returns batches of random crops, decoded and cropped at once: uint8 (B, *size, C)."""
        uniforms = draws[RANDOM_RESIZED_CROP].reshape(-1, 4)
        images = self.random_crops(order.ravel(), uniforms, size, recipe.min_crop_area)
        return images.batch(order.shape[1], drop_remainder=True)

    def random_crops(self, order: np.ndarray, uniforms: np.ndarray, size: tuple[int, int], min_area: float) -> tf.data.Dataset:
        """Returns random crops, uint8 (*size, C), one for each of the indices `order`, (n,), in their order.

        uniforms: float32 (n, 4) in [0, 1), see `random_crops.random_box`, also for min_area.
        """

        def crop(index: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
            jpeg, pixels = tf.numpy_function(self.read, [index], (tf.string, tf.uint8), stateful=False)
            pixels = tf.ensure_shape(pixels, (None, None, self.channels))
            return decode_and_crop(jpeg, pixels, uniforms, size, self.channels, min_area)

        examples = tf.data.Dataset.from_tensor_slices((order, uniforms))
        return examples.map(crop, num_parallel_calls=CORES, deterministic=True)

    def read(self, index: int) -> tuple[bytes, np.ndarray]:
        """Returns the bytes of a JPEG of which TensorFlow can decode a part, or the pixels of another image.

        Returns:
            (bytes, uint8 (0, 0, C)) or (b"", uint8 (H, W, C)).

        Raises:
            OSError: The image has disappeared, or is damaged since it was checked.
        """
        encoded: EncodedImage = self.encoded[index]
        if self.tf_decodable[index]:
            content = encoded.read()
            if is_intact_jpeg(content):
                return content, np.empty((0, 0, self.channels), np.uint8)
            if (pixels := decode_png(content, self.channels)) is not None:
                return b"", pixels
        image = load(encoded, self.channels)
        return b"", np.asarray(image, np.uint8).reshape(image.height, image.width, self.channels)


@dataclasses.dataclass(frozen=True, eq=False)
class LazyImages:
    """The prepared images of a split, prepared when they are read: supports `len`, `shape` and `[rows]` of an array."""

    split: Split
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.split)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), *self.preprocessing.shape)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return self.split.take(rows).prepare(self.preprocessing)


def prepare_if_memory_allows(split: Split, preprocessing: Preprocessing) -> np.ndarray | LazyImages:
    """Prepares the images of a split: an array if that takes at most half of the available memory, else `LazyImages`."""
    images = LazyImages(split, preprocessing)
    needed, available = math.prod(images.shape), available_memory() // 2
    if needed <= available:
        return images[:]
    side = f"{preprocessing.height}x{preprocessing.width}"
    print_message(
        f"{len(images):,} images of {side} pixels take {format_bytes(needed)}, half of the free memory is "
        f"{format_bytes(available)}: they are prepared again whenever they are needed"
    )
    return images
