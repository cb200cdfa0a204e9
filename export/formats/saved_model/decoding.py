"""Picture files to the pixels that evaluation makes of them, in TensorFlow's operations only: a server has no Python."""

import tensorflow as tf

from .resizing import resample

INPUT = "image_bytes"
CHANNELS = (1, 3)  # what `keras_resnet.preprocessing.open_image` makes of a file
LUMA = (19595, 38470, 7471)  # PIL's "L": ITU-R 601, (.299, .587, .114) in 16 bits


def image_bytes_signature(serve, preprocessing):
    """A `tf.function` from picture files, string (N,), each of its own format and size, to what `serve` gives for them.

    `serve` takes uint8 (N, H, W, C). The files are JPEG, PNG, WebP or GIF (its first frame), in grey or colour;
    transparency is dropped. Of BMP, TensorFlow reads 24 bits and grey, and takes a palette's indices for grey. A file that
    cannot be decoded fails its whole batch. The pixels are those of
    `Preprocessing.load_image`, to the last bit, but for one thing: TensorFlow does not read EXIF, and a photograph that is
    only to be shown turned is classified as it lies in the file.
    """
    pixels = tf.TensorSpec(preprocessing.shape, tf.uint8)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=INPUT)], autograph=False)
    def serve_bytes(image_bytes):
        with tf.device("CPU"):
            images = tf.map_fn(lambda content: load(content, preprocessing), image_bytes, fn_output_signature=pixels)
        return serve(images)

    return serve_bytes


def load(content, preprocessing):
    """A scalar string, the bytes of a file -> uint8 (height, width, channels)."""
    return resize_and_crop(decode(content, preprocessing.channels), preprocessing)


def decode(content, channels):
    """The bytes of a file -> uint8 (H, W, channels), grey (`channels` 1) or RGB (3), to the last bit as PIL decodes it."""
    picture = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"),  # the default is faster, and inexact
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )
    picture = tf.ensure_shape(picture, (None, None, 3))
    if channels == 3:
        return picture
    weighted = tf.reduce_sum(tf.cast(picture, tf.int32) * LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.uint8)


def resize_and_crop(picture, preprocessing):
    """`Preprocessing.resize_and_crop` to the last bit: uint8 (H, W, C) -> uint8 (height, width, C)."""
    wanted = (preprocessing.height, preprocessing.width)
    least = [int(side / preprocessing.crop_fraction + 1e-6) for side in wanted]
    sides = tf.cast(tf.shape(picture)[:2], tf.float64)  # as Python's floats, to truncate alike
    size = tf.maximum(least, tf.cast(sides * tf.reduce_max(least / sides) + 1e-6, tf.int32))
    start = tf.cast(tf.round((size - wanted) / 2), tf.int32)  # half to even, as Python's round
    for axis in (1, 0):
        swapped = (axis, 1 - axis, 2)
        lines = tf.transpose(picture, swapped)
        lines = resample(lines, size[axis], start[axis], wanted[axis], preprocessing.interpolation)
        picture = tf.transpose(lines, swapped)
    return tf.ensure_shape(picture, preprocessing.shape)
