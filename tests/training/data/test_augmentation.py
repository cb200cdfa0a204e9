"""Catches crops that are not crops, colors that the padding invents, and changes that do not follow their random numbers."""

import numpy as np
import tensorflow as tf

from keras_resnet.training.data.augmentation import augment, cutmix, draw_augmentations
from keras_resnet.training.data.decoding.random_crops import crop_and_resize
from keras_resnet.training.recipes import get_recipe

FILL = (10, 200, 77)


def augmented(images, **options):
    """The images after the augmentations of a recipe with these `options`."""
    recipe = get_recipe("digits", **options)
    draws = {name: tf.constant(drawn) for name, drawn in draw_augmentations(recipe, 0, 0, len(images)).items()}
    fill = FILL[: images.shape[-1]]
    return np.asarray(augment(tf.constant(images), tf.zeros((len(images), 1)), draws, recipe, fill)[0])


def crops(image, size):
    padded = np.empty((image.shape[0] + 2 * size, image.shape[1] + 2 * size, image.shape[2]), np.uint8)
    padded[:] = FILL
    padded[size:-size, size:-size] = image
    height, width = image.shape[:2]
    return {(i, j): padded[i : i + height, j : j + width] for i in range(2 * size + 1) for j in range(2 * size + 1)}


def test_each_image_becomes_one_of_its_own_crops_and_every_offset_occurs(rng):
    images = rng.integers(0, 256, (300, 5, 7, 3)).astype(np.uint8)
    cropped = augmented(images, crop_padding=1)
    offsets = []
    for image, result in zip(images, cropped, strict=True):
        offsets.append(next(offset for offset, crop in crops(image, 1).items() if np.array_equal(crop, result)))
    assert set(offsets) == {(i, j) for i in range(3) for j in range(3)}


def test_about_half_of_the_images_are_mirrored(rng):
    images = rng.integers(0, 256, (400, 3, 5, 2)).astype(np.uint8)
    flipped = augmented(images, flip=True)
    mirrored = np.array([np.array_equal(result, image[:, ::-1]) for image, result in zip(images, flipped, strict=True)])
    same = np.array([np.array_equal(result, image) for image, result in zip(images, flipped, strict=True)])
    assert np.all(mirrored ^ same)
    assert 0.4 < mirrored.mean() < 0.6


def test_cutout_covers_one_square_with_the_mean_colour(rng):
    images = rng.integers(201, 256, (200, 9, 7, 3)).astype(np.uint8)
    result = augmented(images, cutout=3)
    covered = (result == FILL).all(axis=-1)
    np.testing.assert_array_equal(result[~covered], images[~covered])
    sizes = covered.sum(axis=(1, 2))
    assert set(sizes) <= {4, 6, 9}  # cut off at a corner, at an edge, not at all
    assert (sizes == 9).mean() > 0.4
    for mask in covered:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_all_at_once_is_one_after_the_other(rng):
    """Catches a mirror, a shift and a square that get into each other's way."""
    images = rng.integers(0, 256, (50, 6, 7, 3)).astype(np.uint8)
    expected = augmented(augmented(augmented(images, crop_padding=2), flip=True), cutout=3)
    np.testing.assert_array_equal(augmented(images, crop_padding=2, flip=True, cutout=3), expected)


def test_a_crop_of_everything_is_the_image_itself(rng):
    images = rng.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    whole = np.tile(np.float32([1 - 1e-7, 0.5, 0.5, 0.5]), (3, 1))
    np.testing.assert_array_equal(crop_and_resize(tf.constant(images), tf.constant(whole), 0.5), images)


def test_a_random_crop_shows_a_part_at_the_old_size():
    """Of a ramp: each crop's first and last values lie inside the image's, and their distance says how much it shows."""
    ramp = np.broadcast_to(np.arange(0, 250, 5, dtype=np.uint8)[None, None, :, None], (200, 50, 50, 1))
    result = augmented(ramp, min_crop_area=0.25)[:, 10, :, 0].astype(int)
    spans = (result[:, -1] - result[:, 0]) / 245
    assert result.shape == (200, 50)
    assert (np.diff(result, axis=1) >= 0).all()
    assert 0.4 < spans.min() < 0.5
    assert spans.max() == 1


def test_cutmix_weights_are_those_of_the_pixels(rng):
    images, others = np.zeros((1000, 8, 6, 1), np.uint8), np.ones((1000, 8, 6, 1), np.uint8)
    lam, center = rng.random(1000, np.float32), rng.random((1000, 2), np.float32)
    pasted, own = cutmix(tf.constant(images), tf.constant(others), tf.constant(lam), tf.constant(center))
    np.testing.assert_allclose(np.asarray(pasted).mean(axis=(1, 2, 3)), 1 - np.asarray(own), atol=1e-6)
    assert np.corrcoef(own, lam)[0, 1] > 0.8
