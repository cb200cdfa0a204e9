"""The input pipeline alone: images padded, cropped and flipped at random (He et al. 2015, section 4.2)."""

import tensorflow as tf

from .. import recipes
from ..data.batches import InputShard, TrainBatches
from ..data.splits import ArraySplit
from .candidates import WorkloadInfo
from .config import BenchmarkConfig
from .synthetic import synthetic_data


class InputPipeline:
    def __init__(self, config: BenchmarkConfig) -> None:
        self.config, self.classes = config, config.family.classes
        self.recipe = recipes.get_recipe("he2015_cifar", batch_size=config.batch_size)

    def load_data(self, steps: int) -> None:
        data = synthetic_data(self.config, steps, bytes_per_value=1)
        self.images, self.labels, self.epochs, self.steps = data.images, data.labels, data.epochs, data.steps

    def build(self) -> None:
        """Does nothing: a pipeline belongs to its data and is made when it runs."""

    def run(self) -> None:
        for epoch in range(self.epochs):
            for _ in self.dataset(epoch):
                pass

    def dataset(self, epoch: int) -> tf.data.Dataset:
        """Returns the batches (images uint8 (B, H, W, 3), targets float32 (B, classes)) of an epoch."""
        raise NotImplementedError

    def info(self) -> WorkloadInfo:
        return {"macs": None, "versions": {"TensorFlow": tf.__version__}}


class Ours(InputPipeline):
    def dataset(self, epoch: int) -> tf.data.Dataset:
        split, size = ArraySplit(self.images, self.labels), (self.config.side, self.config.side)
        return TrainBatches(split, self.recipe, self.classes, size, (125, 123, 114), 0, epoch).dataset(InputShard())


class PerImage(InputPipeline):
    """Augments image by image, as tutorials do."""

    def dataset(self, epoch: int) -> tf.data.Dataset:
        images = tf.data.Dataset.from_tensor_slices((self.images, self.labels)).shuffle(len(self.labels), seed=epoch)
        batches = images.map(self.augmented, num_parallel_calls=tf.data.AUTOTUNE)
        return batches.batch(self.config.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def augmented(self, image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        side = self.config.side
        larger = side + 2 * self.recipe.crop_padding
        image = tf.image.resize_with_crop_or_pad(image, larger, larger)
        image = tf.image.random_crop(image, (side, side, 3))
        return tf.image.random_flip_left_right(image), tf.one_hot(label, self.classes)
