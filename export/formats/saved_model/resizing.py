"""Pillow's resize, and the crop of evaluation, in TensorFlow's operations, to the last bit.

`tf.image.resize(antialias=True)` has the same filters, but rounds once, where Pillow rounds after each direction, and computes
in floats where Pillow computes in integers: up to a fifth of the pixels differ, with the bicubic filter by up to 20 of 255. It
is not faster. After Pillow's `src/libImaging/Resample.c`.
"""

from typing import Any

import tensorflow as tf

from keras_resnet.preprocessing import Preprocessing

PRECISION = 22  # bits of a weight


def resize_and_crop(image: Any, preprocessing: Preprocessing) -> Any:
    """Does what `Preprocessing.resize_and_crop` does: uint8 (H, W, C) -> uint8 (height, width, C)."""
    target = (preprocessing.height, preprocessing.width)
    least = [int(side / preprocessing.crop_fraction + 1e-6) for side in target]
    sides: Any = tf.cast(tf.shape(image)[:2], tf.float64)  # as Python's floats, to truncate alike
    size: Any = tf.maximum(least, tf.cast(sides * tf.reduce_max(least / sides) + 1e-6, tf.int32))
    # tf.round rounds half to even, as Python's does
    whole = tf.round if preprocessing.crop_rounding == "half_to_even" else tf.floor
    start: Any = tf.cast(whole((size - target) / 2), tf.int32)

    def resize() -> Any:
        resized = image
        for axis in (1, 0):
            swapped = (axis, 1 - axis, 2)
            lines = tf.transpose(resized, swapped)
            lines = resample(lines, size[axis], start[axis], target[axis], preprocessing.interpolation)
            resized = tf.transpose(lines, swapped)
        return resized

    def crop() -> Any:
        return image[start[0] : start[0] + target[0], start[1] : start[1] + target[1]]

    fits = tf.reduce_all(tf.equal(tf.shape(image)[:2], size))
    return tf.ensure_shape(tf.cond(fits, crop, resize), preprocessing.shape)


def resample(values: Any, size: Any, start: Any, count: int, interpolation: str) -> Any:
    """Computes a part of a resize along the first axis: uint8 (L, ...) -> uint8 (count, ...).

    Args:
        values: uint8 (L, ...).
        size: How many values the L would become; may be a tensor.
        start: The first of them that is wanted; may be a tensor.
        count: How many of them are wanted.
        interpolation: A key of `KERNELS`.
    """
    table = weights(tf.shape(values)[0], size, start, count, interpolation)
    flat = tf.reshape(tf.cast(values, tf.int32), (tf.shape(values)[0], -1))
    sums = tf.sparse.sparse_dense_matmul(table, flat) + 2 ** (PRECISION - 1)
    rounded = tf.cast(tf.clip_by_value(tf.bitwise.right_shift(sums, PRECISION), 0, 255), tf.uint8)
    return tf.reshape(rounded, tf.concat([[count], tf.shape(values)[1:]], axis=0))


def weights(length: Any, size: Any, start: Any, count: int, interpolation: str) -> tf.SparseTensor:
    """Computes what each of `count` values from `start` on takes of the `length` given ones: sparse int32 (count, length)."""
    kernel, support = KERNELS[interpolation]
    scale = tf.cast(length, tf.float64) / tf.cast(size, tf.float64)
    stretch = tf.maximum(scale, 1)  # antialiased: the kernel covers what becomes one value
    center = (tf.cast(start + tf.range(count), tf.float64)[:, tf.newaxis] + 0.5) * scale
    ends = [tf.cast(tf.maximum(center + side * support * stretch + 0.5, 0), tf.int32) for side in (-1, 1)]
    taps: Any = ends[0] + tf.range(2 * tf.cast(tf.math.ceil(support * stretch), tf.int32) + 1)
    share: Any = kernel(tf.abs(tf.cast(taps, tf.float64) - center + 0.5) * (1 / stretch))
    share = tf.where(taps < tf.minimum(ends[1], length), share, 0)
    share /= tf.reduce_sum(share, axis=1, keepdims=True)
    fixed = tf.cast(share * 2**PRECISION + 0.5 * tf.sign(share), tf.int32)
    rows = tf.broadcast_to(tf.range(count)[:, tf.newaxis], tf.shape(taps))
    places: Any = tf.stack([rows, tf.minimum(taps, length - 1)], axis=-1)  # taps beyond the last value weigh nothing
    places, shape = tf.cast(tf.reshape(places, (-1, 2)), tf.int64), tf.cast([count, length], tf.int64)
    return tf.SparseTensor(places, tf.reshape(fixed, (-1,)), shape)


def triangle(x: Any) -> Any:
    """The bilinear filter, for distances x >= 0."""
    return tf.maximum(1 - x, 0)


def keys_cubic(x: Any) -> Any:
    """Keys' cubic with a = -1/2, for distances x >= 0."""
    near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    return tf.where(x < 1, near, tf.where(x < 2, far, 0))


KERNELS = {"bilinear": (triangle, 1), "bicubic": (keys_cubic, 2)}  # each with the distance beyond which it is zero
