"""Random changes to a whole batch of raw pixels at once. All chance comes in as `uniforms`, numbers in [0, 1) by example.

So an image is changed alike whatever batch, worker or continued run it comes up in.
"""

import tensorflow as tf

from .random_crops import random_box

# The columns of `uniforms`; those of `CROP` decide where a random resized crop is cut from a picture.
ROW, COLUMN, MIRROR, HOLE_ROW, HOLE_COLUMN, WHICH = range(6)
CROP = slice(6, 10)
DRAWS = 10


def augment(images, uniforms, recipe, fill):
    """What `recipe` asks for: uint8 (N, H, W, C), same out. fill: (C,), 0 to 255, the colour of what comes from outside."""
    if recipe.min_crop_area:
        images = random_resized_crop(images, recipe.min_crop_area, uniforms)
    if recipe.crop_padding or recipe.flip or recipe.cutout:
        images = pad_crop_flip_cutout(images, uniforms, fill, pad=recipe.crop_padding, flip=recipe.flip, hole=recipe.cutout)
    return images


def pad_crop_flip_cutout(images, uniforms, fill, *, pad=0, flip=False, hole=0):
    """Shifts by up to `pad` pixels, mirrors half of the images, covers a square of `hole` pixels: all in one gather.

    He et al. 2015, section 4.2, where the padding is zero behind the subtraction of the mean, so the mean colour here;
    DeVries & Taylor 2017, arXiv:1708.04552, section 3, where the square is centred anywhere in the image.
    """
    count, height, width, channels = images.shape
    margin = max(pad, 1)  # there is always a pixel of the colour `fill`, the first
    framed = pad_constant(images, margin, fill)
    rows = to_int(uniforms[:, ROW], 2 * pad + 1)[:, tf.newaxis] + tf.range(height)
    columns = tf.range(width)
    if flip:
        columns = tf.where(uniforms[:, MIRROR, tf.newaxis] < 0.5, columns[::-1], columns)
    columns += to_int(uniforms[:, COLUMN], 2 * pad + 1)[:, tf.newaxis]
    tops = tf.range(count)[:, tf.newaxis] * framed.shape[1] + rows + margin - pad
    places = tops[:, :, tf.newaxis] * framed.shape[2] + columns[:, tf.newaxis, :] + margin - pad
    if hole:
        sizes = tf.fill([count], float(hole))
        places = tf.where(box_mask(uniforms, (height, width), sizes, sizes), 0, places)
    return tf.gather(tf.reshape(framed, [-1, channels]), places)


def pad_constant(images, margin, fill):
    """The images with so many pixels of the colour `fill` on each side."""
    count, height, width, channels = images.shape
    colour = tf.cast(fill, images.dtype)
    side = tf.broadcast_to(colour, (count, height, margin, channels))
    top = tf.broadcast_to(colour, (count, margin, width + 2 * margin, channels))
    return tf.concat([top, tf.concat([side, images, side], axis=2), top], axis=1)


def random_resized_crop(images, least_area, uniforms):
    """A random part of each image at its old size; `random_crops` does the same to pictures while it decodes them."""
    height, width = images.shape[1], images.shape[2]
    top, left, tall, wide = tf.unstack(tf.cast(random_box(uniforms[:, CROP], height, width, least_area), tf.float32), axis=1)
    # Positions of the first and the last pixel's middle, from 0 to 1, where the image's own lie at 0 and 1.
    edges = [top / (height - 1), left / (width - 1), (top + tall - 1) / (height - 1), (left + wide - 1) / (width - 1)]
    cropped = tf.image.crop_and_resize(images, tf.stack(edges, axis=1), tf.range(tf.shape(images)[0]), (height, width))
    return tf.cast(tf.round(cropped), images.dtype)


def box_mask(uniforms, shape, heights, widths):
    """Where a pixel lies in its example's box, centred anywhere: bool (N, H, W)."""
    masks = []
    for axis, (side, sizes, column) in enumerate(zip(shape, (heights, widths), (HOLE_ROW, HOLE_COLUMN), strict=True)):
        start = tf.floor(uniforms[:, column] * side) - tf.floor(sizes / 2)
        positions = tf.range(side, dtype=tf.float32)
        mask = (positions >= start[:, tf.newaxis]) & (positions < (start + sizes)[:, tf.newaxis])
        masks.append(tf.expand_dims(mask, 2 - axis))
    return masks[0] & masks[1]


def mix(images, targets, lam, uniforms, recipe):
    """Mixup or cutmix, each image with the one before it in the batch; with both on, half of the images each.

    Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899.

    images: uint8 (N, H, W, C). targets: (N, classes). shares: (N,), of the image itself.
    """
    others = tf.roll(images, 1, axis=0)
    blended, blended_share = mixup(images, others, lam)
    pasted, pasted_share = cutmix(images, others, lam, uniforms)
    if recipe.mixup and recipe.cutmix:
        first = uniforms[:, WHICH] < 0.5
        images = tf.where(first[:, tf.newaxis, tf.newaxis, tf.newaxis], blended, pasted)
        lam = tf.where(first, blended_share, pasted_share)
    else:
        images, lam = (blended, blended_share) if recipe.mixup else (pasted, pasted_share)
    lam = lam[:, tf.newaxis]
    return images, lam * targets + (1 - lam) * tf.roll(targets, 1, axis=0)


def mixup(images, others, lam):
    weights = lam[:, tf.newaxis, tf.newaxis, tf.newaxis]
    blended = weights * tf.cast(images, tf.float32) + (1 - weights) * tf.cast(others, tf.float32)
    return tf.cast(tf.round(blended), images.dtype), lam


def cutmix(images, others, lam, uniforms):
    """The share that counts is that of the pixels that stay, for a box may reach over the edge."""
    height, width = images.shape[1], images.shape[2]
    sides = tf.sqrt(1 - lam)
    inside = box_mask(uniforms, (height, width), tf.floor(height * sides), tf.floor(width * sides))
    return tf.where(inside[..., tf.newaxis], others, images), 1 - tf.reduce_mean(tf.cast(inside, tf.float32), axis=[1, 2])


def to_int(uniforms, count):
    """Whole numbers from 0 to count - 1."""
    return tf.cast(uniforms * count, tf.int32)
