"""Batches from a split in memory: what comes when is a function of seed, epoch and step, and of nothing else."""

import numpy as np
import tensorflow as tf

from keras_resnet.training.augmentation import flip, pad_and_crop


def training_batches(split, recipe, mean_colour, *, seed, epoch):
    """One epoch of shuffled and augmented (images uint8 (B, H, W, C), labels (B,)); the last, partial batch is left out.

    mean_colour: (C,), 0 to 255, the colour of the padding.
    """
    steps = len(split) // recipe.batch_size
    order = np.random.default_rng([seed, epoch]).permutation(len(split))[: steps * recipe.batch_size]
    images, labels = tf.constant(split.images), tf.constant(split.labels)

    def batch(step, indices):
        picked = tf.ensure_shape(tf.gather(images, indices), (recipe.batch_size, *split.images.shape[1:]))
        noise = tf.cast(tf.stack([seed, epoch * steps + tf.cast(step, tf.int32)]), tf.int32)
        if recipe.pad:
            picked = pad_and_crop(picked, recipe.pad, mean_colour, noise)
        if recipe.flip:
            picked = flip(picked, noise + 1_000_003)
        return picked, tf.gather(labels, indices)

    batches = tf.data.Dataset.from_tensor_slices(order.reshape(steps, recipe.batch_size)).enumerate()
    return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(split, batch_size):
    """Every example once: (images, labels, weights); the last batch is filled up with images of weight 0."""
    missing = -len(split) % batch_size
    padded = split.take(np.concatenate([np.arange(len(split)), np.zeros(missing, int)]))
    weights = np.concatenate([np.ones(len(split), np.float32), np.zeros(missing, np.float32)])
    batches = tf.data.Dataset.from_tensor_slices((padded.images, padded.labels, weights))
    return batches.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
