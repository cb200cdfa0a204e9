"""Random resized crops: a random box of an image, scaled to one size (Szegedy et al. 2014, arXiv:1409.4842, section 6)."""

import math
from typing import cast

import tensorflow as tf

from ...recipes import JpegDecoding

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


def decode_and_crop(
    content: tf.Tensor, uniforms: tf.Tensor, size: tuple[int, int], channels: int, min_area: float, decoding: JpegDecoding
) -> tf.Tensor:
    """Cuts a random box out of a JPEG, of which no more than that is decoded, and resizes it.

    Args:
        content: String scalar, the bytes of a file that is `plain_images.is_plain_jpeg`.
        uniforms: float32 (4,), see `random_box`.
        size: (height, width) of the result.
        channels: C, 1 or 3.
        min_area: Smallest fraction of the image's area.
        decoding: How exactly; see what `keras-resnet benchmark --task=input` says of the grey levels that each costs.

    Returns:
        uint8 (*size, C).
    """
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(content))
    box = random_box(uniforms, height, width, min_area)
    method = "INTEGER_ACCURATE" if decoding.accurate_dct else "INTEGER_FAST"
    cropped = tf.image.decode_and_crop_jpeg(content, box, channels, dct_method=method)
    return resized(cropped, size, channels, decoding.antialias)


def crop_pixels(
    pixels: tf.Tensor, uniforms: tf.Tensor, size: tuple[int, int], min_area: float, decoding: JpegDecoding
) -> tf.Tensor:
    """Does the same as `decode_and_crop` with pixels that are decoded already, uint8 (H, W, C) -> uint8 (*size, C)."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    box = random_box(uniforms, height, width, min_area)
    channels = cast(int, pixels.shape[-1])
    return resized(tf.slice(pixels, [box[0], box[1], 0], [box[2], box[3], channels]), size, channels, decoding.antialias)


def resized(image: tf.Tensor, size: tuple[int, int], channels: int, antialias: bool) -> tf.Tensor:
    """Resizes an image, uint8 (h, w, `channels`) -> uint8 (*size, channels), to what `tf.image.resize` gives, rounded.

    Antialiasing changes only images that get smaller.
    """
    if not antialias:
        return interpolated(image, size, channels)
    sides = tf.shape(image)
    shrinks = (sides[0] > size[0]) | (sides[1] > size[1])
    return tf.cond(shrinks, lambda: averaged(image, size, channels), lambda: interpolated(image, size, channels))


def interpolated(image: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """Resizes by bilinear interpolation between the four nearest pixels."""
    pixels = tf.cast(image[tf.newaxis], tf.float32)  # the operation's own conversion is slower
    resized = tf.raw_ops.ResizeBilinear(images=pixels, size=size, half_pixel_centers=True)
    return tf.ensure_shape(to_uint8(resized)[0], (*size, channels))


def averaged(image: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """Resizes by bilinear interpolation where the image grows, and by triangular filters as wide as they must be where not.

    `tf.image.resize(antialias=True)` takes three times as long: its second pass goes through an image channel by channel.
    Here both passes go through the first dimension of a matrix, so that whole rows are added.
    """
    height, width = size
    sides = tf.shape(image)
    rows = resize_rows(tf.reshape(image, [sides[0], sides[1] * channels]), height)
    columns = resize_rows(tf.reshape(transposed(rows), [sides[1], channels * height]), width)
    pixels = transposed(tf.reshape(to_uint8(columns), [width * channels, height]))
    return tf.reshape(pixels, (height, width, channels))


def resize_rows(matrix: tf.Tensor, count: int) -> tf.Tensor:
    """Resizes the first dimension of a matrix: uint8 or float32 (n, k) -> float32 (`count`, k)."""
    scale = count / tf.cast(tf.shape(matrix)[0], tf.float32)
    # As columns of an image of one row: the operation spreads rows over all threads, which others need more.
    resized = tf.raw_ops.ScaleAndTranslate(
        images=matrix[tf.newaxis, tf.newaxis],
        size=[1, count],
        scale=tf.stack([1.0, scale]),
        translation=[0.0, 0.0],
        kernel_type="triangle",
        antialias=True,
    )
    return resized[0, 0]


def transposed(matrix: tf.Tensor) -> tf.Tensor:
    """Transposes a matrix. For float32 oneDNN would do that, and wait for other threads at each."""
    if matrix.dtype != tf.float32:
        return tf.transpose(matrix)
    return tf.bitcast(tf.transpose(tf.bitcast(matrix, tf.int32)), tf.float32)


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Rounds averages of pixels, which are never below 0 or above 255."""
    return tf.cast(pixels + 0.5, tf.uint8)


def mirrored(image: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Mirrors an image, uint8 (H, W, C), left to right if `where`, a bool scalar, says so."""
    return tf.cond(where, lambda: tf.reverse(image, [1]), lambda: image)
