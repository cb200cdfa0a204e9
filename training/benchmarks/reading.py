"""The input pipeline alone: images padded, cropped and mirrored at random (He et al. 2015, section 4.2)."""

import tensorflow as tf

from .. import recipes
from ..data.batches import InputShard, TrainBatches
from ..data.splits import ArraySplit
from .synthetic import synthetic


class Reading:
    def __init__(self, config):
        self.config, self.classes = config, config.family.classes
        self.recipe = recipes.get_recipe("he2015_cifar", batch_size=config.batch_size)

    def load(self, steps):
        self.images, self.labels, self.epochs = synthetic(self.config, steps, bytes_per_value=1)
        self.steps = self.epochs * len(self.labels) // self.config.batch_size

    def build(self):
        """A pipeline belongs to its data: it is made when it runs."""

    def run(self):
        for number in range(self.epochs):
            for _ in self.dataset(number):
                pass

    def facts(self):
        return {"macs": None, "versions": {"TensorFlow": tf.__version__}}


class Ours(Reading):
    def dataset(self, number):
        size = (self.config.side, self.config.side)
        epoch = TrainBatches(ArraySplit(self.images, self.labels), self.recipe, self.classes, size, (125, 123, 114), 0, number)
        return epoch.dataset(InputShard())


class PerImage(Reading):
    """As tutorials have it."""

    def dataset(self, number):
        images = tf.data.Dataset.from_tensor_slices((self.images, self.labels)).shuffle(len(self.labels), seed=number)
        batches = images.map(self.augmented, num_parallel_calls=tf.data.AUTOTUNE)
        return batches.batch(self.config.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def augmented(self, image, label):
        side = self.config.side
        larger = side + 2 * self.recipe.crop_padding
        image = tf.image.resize_with_crop_or_pad(image, larger, larger)
        image = tf.image.random_crop(image, (side, side, 3))
        return tf.image.random_flip_left_right(image), tf.one_hot(label, self.classes)
