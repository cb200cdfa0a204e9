"""Random resized crops: a random box of an image, scaled to one size (Szegedy et al. 2014, arXiv:1409.4842, section 6)."""

import math
from typing import cast

import numpy as np
import tensorflow as tf

from ...recipes import JpegDecoding

MAX_ASPECT = 4 / 3  # width by height; its inverse is the smallest
ATTEMPTS = 10  # boxes that are drawn before one is taken that certainly fits, as in torchvision and timm
MARGIN = 2  # columns beside a box that change the colors of its outermost ones: half of them have no color of their own

# Knuth's linear congruential generator, modulo 2 ** 64: number n is FACTORS[n] * seed + TERMS[n].
FACTOR, TERM, NUMBERS = 6364136223846793005, 1442695040888963407, 2 * (ATTEMPTS - 1)
POWERS = [pow(FACTOR, power, 2**64) for power in range(NUMBERS + 1)]
FACTORS = np.array(POWERS[1:], np.uint64)
TERMS = np.array([TERM * sum(POWERS[: number + 1]) % 2**64 for number in range(NUMBERS)], np.uint64)


def random_boxes(uniforms: tf.Tensor, sides: tf.Tensor | tuple[int, int], min_area: float) -> tf.Tensor:
    """Chooses boxes inside images, as `torchvision.transforms.RandomResizedCrop` does.

    A box that does not fit is drawn again; after ten, the largest one in the middle is taken whose aspect ratio is allowed.

    Args:
        uniforms: float32 (N, 4) in [0, 1). The first two of an image decide the first box's area, from `min_area` of the image
            to all of it, and its aspect ratio, 3/4 to 4/3, uniform in its logarithm, and are the seed of those that follow.
            The last two decide the distances from the top and from the left.
        sides: int32 (N, 2), or (2,) for all: the images' heights and widths, pixels.
        min_area: Smallest fraction of an image's area.

    Returns:
        (top, left, height, width), int32 (N, 4).
    """
    for_size, for_place = tf.split(uniforms, 2, axis=1)
    sides = tf.broadcast_to(tf.cast(sides, tf.float32), tf.shape(for_size))
    for_area, for_aspect = tf.unstack(tf.concat([tf.expand_dims(for_size, 1), more_uniforms(for_size)], 1), axis=2)
    area = (min_area + (1 - min_area) * for_area) * tf.reduce_prod(sides, 1, keepdims=True)
    aspect = tf.exp((2 * for_aspect - 1) * math.log(MAX_ASPECT))
    drawn = tf.maximum(tf.round(tf.sqrt(tf.stack([area / aspect, area * aspect], 2))), 1)
    middle = tf.minimum(sides, tf.round(tf.reverse(sides, [1]) * MAX_ASPECT))
    boxes = tf.concat([drawn, tf.expand_dims(middle, 1)], 1)
    first = tf.argmax(tf.reduce_all(boxes <= tf.expand_dims(sides, 1), 2), 1)
    box = tf.gather(boxes, first, batch_dims=1)
    room = sides - box
    anywhere = tf.minimum(tf.floor(for_place * (room + 1)), room)
    corner = tf.where(tf.expand_dims(first, 1) < ATTEMPTS, anywhere, tf.floor(room / 2))
    return tf.cast(tf.concat([corner, box], 1), tf.int32)


def random_box(uniforms: tf.Tensor, sides: tf.Tensor, min_area: float) -> tf.Tensor:
    """Does the same for one image: float32 (4,), int32 (2,) -> int32 (4,)."""
    return random_boxes(tf.expand_dims(uniforms, 0), sides, min_area)[0]


def more_uniforms(seeds: tf.Tensor) -> tf.Tensor:
    """Makes further random numbers out of pairs: float32 (N, 2) -> (N, ATTEMPTS - 1, 2), in [0, 1).

    TensorFlow's own functions take one seed for all.
    """
    high, low = tf.unstack(tf.cast(tf.bitcast(seeds, tf.uint32), tf.uint64), axis=1)
    seed = tf.expand_dims(tf.bitwise.left_shift(high, tf.constant(32, tf.uint64)) + low, 1)
    numbers = tf.bitwise.right_shift(seed * FACTORS + TERMS, tf.constant(40, tf.uint64))  # the upper bits are the random ones
    return tf.reshape(tf.cast(numbers, tf.float32) * 2**-24, (-1, ATTEMPTS - 1, 2))


def static_shape(images: tf.Tensor) -> tuple[int, int, int, int]:
    """Returns the shape of images, (N, H, W, C), none of which is None here."""
    return cast(tuple[int, int, int, int], tuple(images.shape))


def crop_and_resize(images: tf.Tensor, uniforms: tf.Tensor, min_area: float) -> tf.Tensor:
    """Replaces each image by a random crop of it, resized back: uint8 (N, H, W, C) -> the same. uniforms: (N, 4)."""
    _, height, width, _ = static_shape(images)
    boxes = tf.cast(random_boxes(uniforms, (height, width), min_area), tf.float32)
    top, left, box_height, box_width = tf.unstack(boxes, axis=1)
    # Positions of the centers of the first and the last pixel, where those of the whole image are at 0 and 1.
    bottom, right = top + box_height - 1, left + box_width - 1
    edges = tf.stack([top / (height - 1), left / (width - 1), bottom / (height - 1), right / (width - 1)], axis=1)
    cropped = tf.image.crop_and_resize(images, edges, tf.range(tf.shape(images)[0]), (height, width))
    return tf.cast(tf.round(cropped), images.dtype)


def decode_and_crop(
    content: tf.Tensor, box: tf.Tensor, width: tf.Tensor, size: tuple[int, int], channels: int, decoding: JpegDecoding
) -> tf.Tensor:
    """Cuts a box out of a JPEG, of which hardly more than that is decoded, and resizes it.

    Args:
        content: String scalar, the bytes of a file that is `plain_images.is_plain_jpeg`.
        box: int32 (4,), see `random_boxes`.
        width: int32 scalar, of the whole image.
        size: (height, width) of the result.
        channels: C, 1 or 3.
        decoding: How exactly; see what `keras-resnet benchmark --task=input` says of the grey levels that each costs.

    Returns:
        uint8 (*size, C).
    """
    top, left, box_height, box_width = tf.unstack(box)
    start, end = tf.maximum(left - MARGIN, 0), tf.minimum(left + box_width + MARGIN, width)
    decoded = tf.stack([top, start, box_height, end - start])
    pixels = tf.image.decode_and_crop_jpeg(content, decoded, channels, dct_method=dct_method(decoding))
    return crop_pixels(pixels, tf.stack([0, left - start, box_height, box_width]), size, decoding)


def dct_method(decoding: JpegDecoding) -> str:
    """Returns what TensorFlow calls it."""
    return "INTEGER_ACCURATE" if decoding.accurate_dct else "INTEGER_FAST"


def crop_pixels(pixels: tf.Tensor, box: tf.Tensor, size: tuple[int, int], decoding: JpegDecoding) -> tf.Tensor:
    """Does the same as `decode_and_crop` with pixels that are decoded already, uint8 (H, W, C) -> uint8 (*size, C)."""
    channels = cast(int, pixels.shape[-1])
    begin, shape = tf.concat([box[:2], [0]], 0), tf.concat([box[2:], [channels]], 0)
    return resized(tf.slice(pixels, begin, shape), size, channels, decoding.antialias)


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
