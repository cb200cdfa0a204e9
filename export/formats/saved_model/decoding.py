"""Image files to the pixels that evaluation makes of them, in TensorFlow's operations only: a server has no Python."""

from typing import Any

import tensorflow as tf

from keras_resnet.preprocessing import Preprocessing

from .resizing import resample

INPUT = "image_bytes"
CHANNELS = (1, 3)  # what `keras_resnet.preprocessing.open_image` makes of a file
LUMA = (19595, 38470, 7471)  # Pillow's "L": ITU-R 601, (.299, .587, .114) in 16 bits


def image_bytes_signature(serve: Any, preprocessing: Preprocessing) -> Any:
    """Returns a `tf.function` from image files, string (N,), each of its own format and size, to what `serve` gives for them.

    The files are JPEG, PNG, WebP or GIF (its first frame), in gray or color; transparency is dropped. TensorFlow reads BMP with
    24 bits and in gray, and takes a palette's indices for gray. A file that cannot be decoded fails its whole batch.

    The pixels are those of `Preprocessing.load_image`, to the last bit, with one exception: TensorFlow does not read EXIF, and
    a photograph that is stored sideways, with a note to rotate it, is classified as it is stored.

    Args:
        serve: Takes pixels (N, H, W, C), of whatever dtype its signature has.
        preprocessing: Of the classifier.
    """
    pixels = tf.TensorSpec(preprocessing.shape, tf.uint8)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=INPUT)], autograph=False)
    def serve_bytes(image_bytes: tf.Tensor) -> Any:
        with tf.device("CPU"):
            images = tf.map_fn(lambda content: load(content, preprocessing), image_bytes, fn_output_signature=pixels)
        return serve(tf.cast(images, serve.input_signature[0].dtype))

    return serve_bytes


def load(content: Any, preprocessing: Preprocessing) -> Any:
    """Reads a scalar string, the bytes of a file -> uint8 (height, width, channels)."""
    return resize_and_crop(decode(content, preprocessing.channels), preprocessing)


def decode(content: Any, channels: int) -> Any:
    """Decodes the bytes of a file -> uint8 (H, W, channels), gray (1) or RGB (3), to the last bit as Pillow does."""
    image = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"),  # the default is faster, and inexact
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )
    image = tf.ensure_shape(image, (None, None, 3))
    if channels == 3:
        return image
    weighted = tf.reduce_sum(tf.cast(image, tf.int32) * LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.uint8)


def resize_and_crop(image: Any, preprocessing: Preprocessing) -> Any:
    """Does what `Preprocessing.resize_and_crop` does, to the last bit: uint8 (H, W, C) -> uint8 (height, width, C)."""
    target = (preprocessing.height, preprocessing.width)
    least = [int(side / preprocessing.crop_fraction + 1e-6) for side in target]
    sides: Any = tf.cast(tf.shape(image)[:2], tf.float64)  # as Python's floats, to truncate alike
    size: Any = tf.maximum(least, tf.cast(sides * tf.reduce_max(least / sides) + 1e-6, tf.int32))
    start: Any = tf.cast(tf.round((size - target) / 2), tf.int32)  # half to even, as Python's round
    for axis in (1, 0):
        swapped = (axis, 1 - axis, 2)
        lines = tf.transpose(image, swapped)
        lines = resample(lines, size[axis], start[axis], target[axis], preprocessing.interpolation)
        image = tf.transpose(lines, swapped)
    return tf.ensure_shape(image, preprocessing.shape)
