"""The two kinds of split: images in memory, and encoded pictures that are decoded when they are asked for."""

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_resnet.errors import UserError
from keras_resnet.preprocessing import open_picture
from keras_resnet.training.examination import stream
from keras_resnet.training.memory import available_memory, in_words
from keras_resnet.training.random_crops import decode_and_crop
from keras_resnet.training.threads import in_threads


@dataclasses.dataclass(frozen=True)
class Split:
    """images: uint8 (N, H, W, C). labels: int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    @property
    def shape(self):
        """(height, width, channels) of an image."""
        return self.images.shape[1:]

    def take(self, indices):
        return Split(self.images[indices], self.labels[indices])

    def prepared(self, preprocessing):
        """A `Split` of all of them, each resized and cropped as `preprocessing` says, where that does anything."""
        if self.shape != preprocessing.shape:
            refuse_more_than_fits(len(self), preprocessing)
        return Split(preprocessing.prepare(self.images), self.labels)


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures of any size, each a path or the bytes of a file.

    encoded: objects (N,). labels: int64 (N,). plain: bool (N,), which of them TensorFlow decodes as Pillow does.
    channels: 1 or 3, of all.
    """

    encoded: np.ndarray
    labels: np.ndarray
    plain: np.ndarray
    channels: int

    def __len__(self):
        return len(self.labels)

    @property
    def shape(self):
        """(None, None, channels): every picture has a height and a width of its own."""
        return (None, None, self.channels)

    def take(self, indices):
        return Pictures(self.encoded[indices], self.labels[indices], self.plain[indices], self.channels)

    def prepared(self, preprocessing):
        """A `Split` of all of them, each resized and cropped as `preprocessing` says."""
        refuse_more_than_fits(len(self), preprocessing)
        images = np.empty((len(self), *preprocessing.shape), np.uint8)

        def prepare(index):
            images[index] = preprocessing.load_picture(stream(self.encoded[index]))

        for _ in in_threads(prepare, range(len(self))):
            pass
        return Split(images, self.labels)

    def prepared_batches(self, preprocessing, batch_size):
        """Yields the same images in order, uint8 (at most batch_size, H, W, C): only one batch is in memory."""
        for start in range(0, len(self), batch_size):
            yield self.take(slice(start, start + batch_size)).prepared(preprocessing).images

    def training_images(self, order, draws, size, least_area):
        """A tf.data.Dataset of random crops, uint8 (*size, C), one for each of the indices `order`, (n,), in their order.

        draws: float32 (n, 4) in [0, 1), what is random in each: see `random_crops.random_box`, also for least_area.
        """

        def crop(index, draw):
            content = tf.numpy_function(self.content, [index], tf.string, stateful=False)
            return decode_and_crop(content, draw, size, self.channels, least_area)

        examples = tf.data.Dataset.from_tensor_slices((order, draws))
        return examples.map(crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def content(self, index):
        """The file with TensorFlow's eyes: as it is, or, where TensorFlow would see another picture or none, as a PNG."""
        encoded = self.encoded[index]
        if self.plain[index]:
            return encoded if isinstance(encoded, bytes) else Path(encoded).read_bytes()
        file = io.BytesIO()
        open_picture(stream(encoded), self.channels).save(file, "PNG", compress_level=1)
        return file.getvalue()


def refuse_more_than_fits(count, preprocessing):
    """Raises a `UserError` where so many prepared images take more than half of the free memory."""
    needed, available = count * math.prod(preprocessing.shape), available_memory() // 2
    if needed > available:
        raise UserError(
            f"{count} images of {preprocessing.height}x{preprocessing.width} pixels take {in_words(needed)}; half of the free "
            f"memory is {in_words(available)}: choose a smaller image_size, or resized_crop, which decodes them when needed"
        )
