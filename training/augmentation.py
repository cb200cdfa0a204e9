"""Random changes to a whole batch of raw pixels at once; every draw is a function of the seed."""

import tensorflow as tf


def pad_and_crop(images, size, fill, seed):
    """Pads `size` pixels of the colour `fill` (C,) on each side and crops back at random: uint8 (N, H, W, C), same out.

    He et al. 2015, section 4.2, where the padding is zero behind the subtraction of the mean, so the mean colour here. One
    gather serves the whole batch.
    """
    count, height, width = images.shape[0], images.shape[1], images.shape[2]
    fill = tf.cast(fill, images.dtype)
    padded = tf.pad(images - fill, [[0, 0], [size, size], [size, size], [0, 0]]) + fill  # wraps around and back
    offsets = tf.random.stateless_uniform([2, count, 1], seed, 0, 2 * size + 1, tf.int32)
    rows, columns = offsets[0] + tf.range(height), offsets[1] + tf.range(width)
    positions = tf.stack([tf.repeat(rows, width, axis=1), tf.tile(columns, [1, height])], axis=-1)
    return tf.reshape(tf.gather_nd(padded, positions, batch_dims=1), images.shape)


def flip(images, seed):
    """Mirrors each image left to right with probability 1/2: uint8 (N, H, W, C), same out."""
    mirrored = tf.random.stateless_uniform([images.shape[0], 1, 1, 1], seed) < 0.5
    return tf.where(mirrored, images[:, :, ::-1], images)
