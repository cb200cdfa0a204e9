"""Catches crops that are not crops, colours that the padding invents, and draws that do not follow the seed."""

import numpy as np
import tensorflow as tf

from keras_resnet.training.augmentation import flip, pad_and_crop

FILL = (10, 200, 77)


def crops(image, size):
    padded = np.empty((image.shape[0] + 2 * size, image.shape[1] + 2 * size, image.shape[2]), np.uint8)
    padded[:] = FILL
    padded[size:-size, size:-size] = image
    height, width = image.shape[:2]
    return {(i, j): padded[i : i + height, j : j + width] for i in range(2 * size + 1) for j in range(2 * size + 1)}


def test_each_image_becomes_one_of_its_own_crops_and_every_offset_occurs(rng):
    images = rng.integers(0, 256, (300, 5, 7, 3)).astype(np.uint8)
    cropped = np.asarray(pad_and_crop(tf.constant(images), 1, FILL, [0, 1]))
    offsets = []
    for image, result in zip(images, cropped, strict=True):
        offsets.append(next(offset for offset, crop in crops(image, 1).items() if np.array_equal(crop, result)))
    assert set(offsets) == {(i, j) for i in range(3) for j in range(3)}


def test_about_half_of_the_images_are_mirrored(rng):
    images = rng.integers(0, 256, (400, 3, 5, 2)).astype(np.uint8)
    flipped = np.asarray(flip(images, [0, 1]))
    mirrored = np.array([np.array_equal(result, image[:, ::-1]) for image, result in zip(images, flipped, strict=True)])
    same = np.array([np.array_equal(result, image) for image, result in zip(images, flipped, strict=True)])
    assert np.all(mirrored ^ same)
    assert 0.4 < mirrored.mean() < 0.6


def test_the_same_seed_draws_the_same(rng):
    images = rng.integers(0, 256, (50, 3, 5, 2)).astype(np.uint8)
    np.testing.assert_array_equal(flip(images, [3, 4]), flip(images, [3, 4]))
    assert not np.array_equal(flip(images, [3, 4]), flip(images, [3, 5]))
