"""Random augmentation of batches of raw pixels: one function and one row of `AUGMENTATIONS` each.

Chance comes in from outside, as numbers drawn per example from a stream that belongs to the augmentation's name. So an
image is changed in the same way in whatever batch, on whatever worker and after whatever resume it comes up, and adding an
augmentation changes none of the numbers of the others.
"""

import zlib
from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ..recipes import Recipe
from .decoding.random_crops import crop_and_resize, static_shape

RANDOM_RESIZED_CROP, HORIZONTAL_FLIP = "random_resized_crop", "horizontal_flip"
MIRRORED = 0.5  # share of the images


class Batch:
    """A batch on its way through the augmentations: images, uint8 (N, H, W, C), and targets, float32 (N, classes).

    Shifting, flipping and covering only record which pixel is read where: reading `images` performs all of them in one
    gather.
    """

    def __init__(self, images: tf.Tensor, targets: tf.Tensor, fill: tuple[int, ...]) -> None:
        """fill: (C,), 0 to 255, the color of pixels from outside of an image and of covered ones."""
        self.targets, self._fill = targets, fill
        self.images = images

    @property
    def images(self) -> tf.Tensor:
        if self._changed:
            self.images = self._gather()
        return self._images

    @images.setter
    def images(self, images: tf.Tensor) -> None:
        self._images, self._changed = images, False
        self.count, self.height, self.width, self._channels = static_shape(images)
        self._rows, self._columns = tf.range(self.height)[tf.newaxis], tf.range(self.width)[tf.newaxis]
        self._margin, self._covered = 0, None

    def shift(self, down: tf.Tensor, right: tf.Tensor, most: int) -> None:
        """Reads from so many pixels further down and right; down, right: int32 (N,), from -most to most."""
        self._rows += down[:, tf.newaxis]
        self._columns += right[:, tf.newaxis]
        self._margin += most
        self._changed = True

    def flip(self, where: tf.Tensor) -> None:
        """Mirrors the images `where`, bool (N,), left to right."""
        self._columns = tf.where(where[:, tf.newaxis], self._columns[:, ::-1], self._columns)
        self._changed = True

    def cover(self, mask: tf.Tensor) -> None:
        """Covers the pixels in `mask`, bool (N, H, W)."""
        self._covered = mask if self._covered is None else self._covered | mask
        self._changed = True

    def _gather(self) -> tf.Tensor:
        margin = max(self._margin, self._covered is not None)  # the first pixel then has the color `fill`
        images = pad_constant(self._images, margin, self._fill) if margin else self._images
        _, height, width, _ = static_shape(images)
        rows = tf.range(self.count)[:, tf.newaxis] * height + self._rows + margin
        places = rows[:, :, tf.newaxis] * width + (self._columns + margin)[:, tf.newaxis, :]
        if self._covered is not None:
            places = tf.where(self._covered, 0, places)
        return tf.gather(tf.reshape(images, [-1, self._channels]), places)


class Augmentation(NamedTuple):
    """A row of the table.

    name: of the random stream; another name means other random numbers.
    enabled: whether a recipe asks for it. draw: makes the random numbers, float32 (N, k), of N examples.
    apply: changes a batch of B examples, given their random numbers (B, k).
    """

    name: str
    enabled: Callable[[Recipe], bool]
    draw: Callable[[np.random.Generator, int, Recipe], np.ndarray]
    apply: Callable[[Batch, tf.Tensor, Recipe], None]


def uniforms(columns: int) -> Callable[[np.random.Generator, int, Recipe], np.ndarray]:
    """Returns a `draw` of so many numbers in [0, 1) per example."""
    return lambda rng, count, recipe: rng.random((count, columns), np.float32)


def random_resized_crop(batch: Batch, draws: tf.Tensor, recipe: Recipe) -> None:
    """Crops a random box and resizes it back. `EncodedSplit` does this while it decodes."""
    batch.images = crop_and_resize(batch.images, draws, recipe.min_crop_area)


def pad_and_crop(batch: Batch, draws: tf.Tensor, recipe: Recipe) -> None:
    """Pads by `crop_padding` pixels on each side and crops back at random (He et al. 2015, section 4.2).

    The paper pads with zeros after subtracting the mean, which here means padding with the mean color.
    """
    most = recipe.crop_padding
    down, right = tf.unstack(to_int(draws, 2 * most + 1) - most, axis=1)
    batch.shift(down, right, most)


def horizontal_flip(batch: Batch, draws: tf.Tensor, recipe: Recipe) -> None:
    """Mirrors half of the images (He et al. 2015, section 4.2)."""
    batch.flip(draws[:, 0] < MIRRORED)


def cutout(batch: Batch, draws: tf.Tensor, recipe: Recipe) -> None:
    """Covers a square of `cutout` pixels, centered anywhere in the image (DeVries & Taylor 2017, arXiv:1708.04552)."""
    sides = tf.fill([batch.count], float(recipe.cutout))
    batch.cover(box_mask(draws, (batch.height, batch.width), sides, sides))


def mixup_or_cutmix(batch: Batch, draws: tf.Tensor, recipe: Recipe) -> None:
    """Mixes each image with the one before it in the batch; if the recipe has both kinds, each on half of the images.

    Mixup: Zhang et al. 2018, arXiv:1710.09412. Cutmix: Yun et al. 2019, arXiv:1905.04899.
    """
    lam, choice, center = draws[:, 0], draws[:, 1], draws[:, 2:]
    images = batch.images
    others = tf.roll(images, 1, axis=0)
    if recipe.mixup and recipe.cutmix:
        blended, pasted = mixup(images, others, lam), cutmix(images, others, lam, center)
        first = choice < 0.5
        images = tf.where(first[:, tf.newaxis, tf.newaxis, tf.newaxis], blended[0], pasted[0])
        lam = tf.where(first, blended[1], pasted[1])
    else:
        images, lam = mixup(images, others, lam) if recipe.mixup else cutmix(images, others, lam, center)
    lam = lam[:, tf.newaxis]
    batch.images, batch.targets = images, lam * batch.targets + (1 - lam) * tf.roll(batch.targets, 1, axis=0)


def draw_mixing(rng: np.random.Generator, count: int, recipe: Recipe) -> np.ndarray:
    """Draws for `mixup_or_cutmix`, float32 (N, 4): the weight of the image itself, which kind it gets, the box's center."""
    choice_and_center = rng.random((count, 3), np.float32)
    alpha = np.where(choice_and_center[:, 0] < 0.5, recipe.mixup or recipe.cutmix, recipe.cutmix or recipe.mixup)
    return np.column_stack([rng.beta(alpha, alpha).astype(np.float32), choice_and_center])


# In the order in which they are applied.
AUGMENTATIONS = (
    Augmentation(RANDOM_RESIZED_CROP, lambda recipe: recipe.min_crop_area > 0, uniforms(4), random_resized_crop),
    Augmentation("pad_and_crop", lambda recipe: recipe.crop_padding > 0, uniforms(2), pad_and_crop),
    Augmentation(HORIZONTAL_FLIP, lambda recipe: recipe.flip, uniforms(1), horizontal_flip),
    Augmentation("cutout", lambda recipe: recipe.cutout > 0, uniforms(2), cutout),
    Augmentation("mixup_or_cutmix", lambda recipe: bool(recipe.mixup or recipe.cutmix), draw_mixing, mixup_or_cutmix),
)


def draw_augmentations(
    recipe: Recipe, seed: int, epoch: int, count: int, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Draws an epoch's random numbers, (count, k) for each augmentation that the recipe asks for, by its name.

    names: Those that are wanted; by default all.
    """
    return {
        row.name: row.draw(np.random.default_rng([seed, epoch, zlib.crc32(row.name.encode())]), count, recipe)
        for row in AUGMENTATIONS
        if row.enabled(recipe) and (names is None or row.name in names)
    }


def augment(
    images: tf.Tensor,
    targets: tf.Tensor,
    draws: dict[str, tf.Tensor],
    recipe: Recipe,
    fill: tuple[int, ...],
    done: Collection[str] = (),
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies every augmentation that the recipe asks for.

    Args:
        images: uint8 (N, H, W, C).
        targets: float32 (N, classes).
        draws: These examples' rows of what `draw_augmentations` drew.
        recipe: The recipe.
        fill: (C,), 0 to 255, the color of padding.
        done: Names of augmentations that were applied before, while decoding.

    Returns:
        The images and the targets, of the same shapes.
    """
    batch = Batch(images, targets, fill)
    for row in AUGMENTATIONS:
        if row.enabled(recipe) and row.name not in done:
            row.apply(batch, draws[row.name], recipe)
    return batch.images, batch.targets


def pad_constant(images: tf.Tensor, margin: int, fill: tuple[int, ...]) -> tf.Tensor:
    """Pads images (N, H, W, C) by `margin` pixels of the color `fill` on each side."""
    count, height, width, channels = static_shape(images)
    color = tf.cast(fill, images.dtype)
    side = tf.broadcast_to(color, (count, height, margin, channels))
    top = tf.broadcast_to(color, (count, margin, width + 2 * margin, channels))
    return tf.concat([top, tf.concat([side, images, side], axis=2), top], axis=1)


def box_mask(center: tf.Tensor, shape: tuple[int, int], heights: tf.Tensor, widths: tf.Tensor) -> tf.Tensor:
    """Marks the pixels of each example's box.

    Args:
        center: float32 (N, 2) in [0, 1), how far down and right the box's center is; the box may cross the edge.
        shape: (H, W) of the images.
        heights, widths: float32 (N,), of the boxes, pixels.

    Returns:
        bool (N, H, W).
    """
    masks = []
    for axis, (side, sizes) in enumerate(zip(shape, (heights, widths), strict=True)):
        start = tf.floor(center[:, axis] * side) - tf.floor(sizes / 2)
        positions = tf.range(side, dtype=tf.float32)
        mask = (positions >= start[:, tf.newaxis]) & (positions < (start + sizes)[:, tf.newaxis])
        masks.append(tf.expand_dims(mask, 2 - axis))
    return masks[0] & masks[1]


def mixup(images: tf.Tensor, others: tf.Tensor, lam: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `lam * images + (1 - lam) * others` and lam, the weight (N,) of the images' own targets."""
    weights = lam[:, tf.newaxis, tf.newaxis, tf.newaxis]
    blended = weights * tf.cast(images, tf.float32) + (1 - weights) * tf.cast(others, tf.float32)
    return tf.cast(tf.round(blended), images.dtype), lam


def cutmix(images: tf.Tensor, others: tf.Tensor, lam: tf.Tensor, center: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pastes boxes of `others`, of about `1 - lam` of the area, into the images.

    Returns the images and the fraction (N,) of pixels that stayed, since a box may cross the edge.
    """
    _, height, width, _ = static_shape(images)
    sides = tf.sqrt(1 - lam)
    inside = box_mask(center, (height, width), tf.floor(height * sides), tf.floor(width * sides))
    kept = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), axis=[1, 2])
    return tf.where(tf.expand_dims(inside, -1), others, images), kept


def to_int(uniforms: tf.Tensor, count: int) -> tf.Tensor:
    """Converts numbers in [0, 1) to integers from 0 to count - 1."""
    return tf.cast(uniforms * count, tf.int32)
