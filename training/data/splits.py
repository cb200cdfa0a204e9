"""The two kinds of split: images in memory, and encoded pictures that are decoded when they are asked for."""

import dataclasses
import functools
import io
import math
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_resnet.preprocessing import open_image

from .image_check import stream
from .memory import available_memory, format_bytes
from .parallel import CORES, parallel_map
from .random_crops import decode_and_crop
from .tfrecords import TFRecordExample

BATCHES_AT_ONCE = min(8, CORES)  # that threads make ready at the same time; more only take memory


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySplit:
    """images: uint8 (N, H, W, C), an array or `LazyImages`. labels: int64 (N,)."""

    images: object
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    @property
    def shape(self):
        """(height, width, channels) of an image."""
        return self.images.shape[1:]

    @functools.cached_property
    def _tensor(self):
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.images)

    def take(self, indices):
        return ArraySplit(self.images[indices], self.labels[indices])

    def prepare(self, preprocessing):
        """All of the images as `preprocessing` says: uint8 (N, height, width, channels)."""
        return preprocessing.prepare(self.images)

    def prepared(self, preprocessing):
        """A `ArraySplit` of all of them, each resized and cropped as `preprocessing` says, where that does anything."""
        if self.shape == preprocessing.shape and preprocessing.crop_fraction == 1:
            return self
        return ArraySplit(prepared_images(self, preprocessing), self.labels)

    def batches(self, order):
        """A tf.data.Dataset of batches, uint8 (B, H, W, C), one for each row of the indices `order`, (batches, B)."""
        if isinstance(self.images, LazyImages):
            gather = functools.partial(tf.numpy_function, self.images.__getitem__, Tout=tf.uint8, stateful=False)
        else:
            images = self._tensor

            def gather(inputs):
                return tf.gather(images, *inputs)

        def batch(rows):
            return tf.ensure_shape(gather([rows]), (order.shape[1], *self.shape))

        return tf.data.Dataset.from_tensor_slices(order).map(batch, num_parallel_calls=BATCHES_AT_ONCE, deterministic=True)


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedSplit:
    """Pictures of any size, each a path or a `TFRecordExample`.

    encoded: objects (N,). labels: int64 (N,). plain: bool (N,), which of them TensorFlow decodes as Pillow does.
    channels: 1 or 3, of all.
    """

    encoded: np.ndarray
    labels: np.ndarray
    tf_decodable: np.ndarray
    channels: int

    def __len__(self):
        return len(self.labels)

    @property
    def shape(self):
        """(None, None, channels): every picture has a height and a width of its own."""
        return (None, None, self.channels)

    def take(self, indices):
        return EncodedSplit(self.encoded[indices], self.labels[indices], self.tf_decodable[indices], self.channels)

    def prepare(self, preprocessing):
        """All of them decoded, each resized and cropped as `preprocessing` says: uint8 (N, height, width, channels)."""
        images = np.empty((len(self), *preprocessing.shape), np.uint8)

        def prepare(index):
            images[index] = preprocessing.load_image(stream(self.encoded[index]))

        for _ in parallel_map(prepare, range(len(self))):
            pass
        return images

    def prepared(self, preprocessing):
        """A `ArraySplit` of all of them, each resized and cropped as `preprocessing` says."""
        return ArraySplit(prepared_images(self, preprocessing), self.labels)

    def training_images(self, order, draws, size, least_area):
        """A tf.data.Dataset of random crops, uint8 (*size, C), one for each of the indices `order`, (n,), in their order.

        draws: float32 (n, 4) in [0, 1), what is random in each: see `random_crops.random_box`, also for least_area.
        """

        def crop(index, draw):
            read_encoded = tf.numpy_function(self.read_encoded, [index], tf.string, stateful=False)
            return decode_and_crop(read_encoded, draw, size, self.channels, least_area)

        examples = tf.data.Dataset.from_tensor_slices((order, draws))
        return examples.map(crop, num_parallel_calls=CORES, deterministic=True)

    def read_encoded(self, index):
        """The file with TensorFlow's eyes: as it is, or, where TensorFlow would see another picture or none, as a PNG."""
        encoded = self.encoded[index]
        if self.tf_decodable[index]:
            return encoded.read() if isinstance(encoded, TFRecordExample) else Path(encoded).read_bytes()
        png = io.BytesIO()
        open_image(stream(encoded), self.channels).save(png, "PNG", compress_level=1)
        return png.getvalue()


@dataclasses.dataclass(frozen=True, eq=False)
class LazyImages:
    """The images of a source as `preprocessing` says, prepared when they are asked for: an array as far as [rows] goes."""

    source: object
    preprocessing: object

    def __len__(self):
        return len(self.source)

    @property
    def shape(self):
        return (len(self), *self.preprocessing.shape)

    def __getitem__(self, rows):
        return self.source.take(rows).prepare(self.preprocessing)


def prepared_images(source, preprocessing):
    """The images of a source: an array where that takes at most half of the free memory, else `LazyImages`."""
    images = LazyImages(source, preprocessing)
    needed, available = math.prod(images.shape), available_memory() // 2
    if needed <= available:
        return images[:]
    print(
        f"keras-resnet: {len(images):,} images of {preprocessing.height}x{preprocessing.width} pixels take {format_bytes(needed)}, "
        f"half of the free memory is {format_bytes(available)}: they are prepared anew whenever they are needed",
        file=sys.stderr,
    )
    return images
