"""Random resized crops: a random box of an image, scaled to one size (Szegedy et al. 2014, arXiv:1409.4842, section 6)."""

import math
from typing import cast

import tensorflow as tf

MAX_ASPECT = 4 / 3  # width by height; its inverse is the smallest


def random_box(uniforms: tf.Tensor, height: tf.Tensor | int, width: tf.Tensor | int, min_area: float) -> tf.Tensor:
    """Chooses a box inside an image. Where other implementations redraw a box larger than the image, this one clips it.

    Args:
        uniforms: float32 (..., 4) in [0, 1). They decide the area, from `min_area` of the image to all of it; the aspect
            ratio, 3/4 to 4/3, uniform in its logarithm; the distance from the top; the distance from the left.
        height, width: Of the image, pixels.
        min_area: Smallest fraction of the image's area.

    Returns:
        (top, left, height, width), int32 (..., 4).
    """
    for_area, for_aspect, down, right = tf.unstack(uniforms, axis=-1)
    sides = tf.cast(tf.stack([height, width]), tf.float32)
    area = (min_area + (1 - min_area) * for_area) * tf.reduce_prod(sides)
    aspect = tf.exp((2 * for_aspect - 1) * math.log(MAX_ASPECT))
    box = tf.clip_by_value(tf.round(tf.sqrt(tf.stack([area / aspect, area * aspect], -1))), 1, sides)
    corner = tf.minimum(tf.floor(tf.stack([down, right], -1) * (sides - box + 1)), sides - box)
    return tf.cast(tf.concat([corner, box], -1), tf.int32)


def static_shape(images: tf.Tensor) -> tuple[int, int, int, int]:
    """Returns the shape of images, (N, H, W, C), none of which is None here."""
    return cast(tuple[int, int, int, int], tuple(images.shape))


def crop_and_resize(images: tf.Tensor, uniforms: tf.Tensor, min_area: float) -> tf.Tensor:
    """Replaces each image by a random crop of it, resized back: uint8 (N, H, W, C) -> the same. uniforms: (N, 4)."""
    _, height, width, _ = static_shape(images)
    boxes = tf.cast(random_box(uniforms, height, width, min_area), tf.float32)
    top, left, box_height, box_width = tf.unstack(boxes, axis=1)
    # Positions of the centers of the first and the last pixel, where those of the whole image are at 0 and 1.
    bottom, right = top + box_height - 1, left + box_width - 1
    edges = tf.stack([top / (height - 1), left / (width - 1), bottom / (height - 1), right / (width - 1)], axis=1)
    cropped = tf.image.crop_and_resize(images, edges, tf.range(tf.shape(images)[0]), (height, width))
    return tf.cast(tf.round(cropped), images.dtype)


def decode_and_crop(content, uniforms, size, channels, min_area):
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(content))
    box = random_box(uniforms, height, width, min_area)
    cropped = tf.image.decode_and_crop_jpeg(content, box, channels, dct_method="INTEGER_ACCURATE", try_recover_truncated=True)
    return resized(cropped, size)


def crop_pixels(pixels, uniforms, size, min_area):
    height, width = tf.unstack(tf.shape(pixels)[:2])
    box = random_box(uniforms, height, width, min_area)
    return resized(tf.slice(pixels, [box[0], box[1], 0], [box[2], box[3], pixels.shape[-1]]), size)


def resized(cropped, size):
    shrinks = tf.reduce_any(tf.shape(cropped)[:2] > size)
    result = tf.cond(shrinks, lambda: tf.image.resize(cropped, size, antialias=True), lambda: tf.image.resize(cropped, size))
    return tf.saturate_cast(tf.round(result), tf.uint8)
