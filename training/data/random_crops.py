"""A random part of a picture, scaled to one size (Szegedy et al. 2014, arXiv:1409.4842, section 6)."""

import math

import tensorflow as tf

LONGEST_ASPECT = 4 / 3  # width by height; its inverse is the least


def random_box(draw, height, width, least_area):
    """(top, left, height, width) of a box within the picture, int32 (..., 4).

    draw: float32 (..., 4) in [0, 1): the area, from `least_area` of the picture to all of it; the aspect ratio, 3/4 to
    4/3, evenly in its logarithm; how far down; how far right. Others draw again when the box is larger than the picture,
    here it is clipped.
    """
    sides = tf.cast(tf.stack([height, width]), tf.float32)
    area = (least_area + (1 - least_area) * draw[..., 0]) * tf.reduce_prod(sides)
    aspect = tf.exp((2 * draw[..., 1] - 1) * math.log(LONGEST_ASPECT))
    box = tf.clip_by_value(tf.round(tf.sqrt(tf.stack([area / aspect, area * aspect], -1))), 1, sides)
    corner = tf.minimum(tf.floor(draw[..., 2:] * (sides - box + 1)), sides - box)
    return tf.cast(tf.concat([corner, box], -1), tf.int32)


def decode_and_crop(content, draw, size, channels, least_area):
    """The bytes of a JPEG or PNG -> uint8 (*size, channels); of a JPEG only the box is decoded."""

    def crop_jpeg():
        height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(content))
        box = random_box(draw, height, width, least_area)
        return tf.image.decode_and_crop_jpeg(content, box, channels, dct_method="INTEGER_ACCURATE", try_recover_truncated=True)

    def crop_png():
        image = tf.image.decode_png(content, channels)
        height, width = tf.unstack(tf.shape(image)[:2])
        box = random_box(draw, height, width, least_area)
        return tf.slice(image, [box[0], box[1], 0], [box[2], box[3], channels])

    cropped = tf.cond(tf.io.is_jpeg(content), crop_jpeg, crop_png)
    cropped.set_shape((None, None, channels))
    # Antialiasing takes twice the time of the decoding, and changes nothing in what is not made smaller.
    smaller = tf.reduce_any(tf.shape(cropped)[:2] > size)
    resized = tf.cond(smaller, lambda: tf.image.resize(cropped, size, antialias=True), lambda: tf.image.resize(cropped, size))
    return tf.saturate_cast(tf.round(resized), tf.uint8)
