"""Catches crops that are resized to other pixels than TensorFlow's own function gives, or mirrored where they should not be."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resnet.training.data.decoding.random_crops import (
    crop_pixels,
    dct_method,
    decode_and_crop,
    mirrored,
    more_uniforms,
    random_boxes,
    resized,
)
from keras_resnet.training.recipes import JPEG_DECODINGS

SIZES = [(20, 30), (64, 48), (7, 90), (100, 9), (24, 16), (1, 1), (200, 150)]


def jpeg(pixels, size, subsampling="4:2:0", progressive=False):
    """Pixels as a smooth image of another size, in a JPEG: a string scalar."""
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(file, "JPEG", quality=95, subsampling=subsampling, progressive=progressive)
    return tf.constant(file.getvalue())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sides", SIZES)
def test_resizing_gives_what_tensorflow_gives(sides, channels, rng):
    image = rng.integers(0, 256, (*sides, channels), np.uint8)
    for antialias in (True, False):
        found = resized(tf.constant(image), (24, 16), channels, antialias).numpy()
        expected = tf.image.resize(image, (24, 16), antialias=antialias).numpy()
        assert (found.shape, found.dtype) == ((24, 16, channels), np.uint8)
        assert np.abs(found - expected).max() <= 0.501


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_cropped_to_the_pixels_that_its_whole_has_there(progressive, subsampling, rng):
    """Catches columns whose colors depend on where the box ends: libjpeg sees no neighbors of a box's outermost ones."""
    height, width = 119, 161
    content = jpeg(rng.integers(0, 256, (30, 40, 3), np.uint8), (width, height), subsampling, progressive)
    for decoding in JPEG_DECODINGS.values():
        pixels = tf.io.decode_jpeg(content, 3, dct_method=dct_method(decoding))
        for box in random_boxes(rng.random((9, 4), np.float32), (height, width), 0.1):
            crop = decode_and_crop(content, box, tf.constant(width), (32, 24), 3, decoding).numpy()
            np.testing.assert_array_equal(crop, crop_pixels(pixels, box, (32, 24), decoding))
        top, left, rows, columns = box.numpy()
        whole = tf.image.resize(pixels[top : top + rows, left : left + columns], (32, 24), antialias=decoding.antialias)
        assert np.abs(crop - whole.numpy()).max() < 0.51


def test_boxes_are_as_torchvision_draws_them(rng):
    """Catches boxes that are clipped or thinned out: these are its formulas, and NumPy's random numbers."""
    count, sides, aspects = 20_000, np.array([300, 500]), (3 / 4, 4 / 3)
    area = rng.uniform(0.08, 1, (2 * count, 1)) * sides.prod()
    aspect = np.exp(rng.uniform(*np.log(aspects), (2 * count, 1)))
    expected = np.sqrt(np.hstack([area / aspect, area * aspect])).round()
    expected = expected[(expected <= sides).all(1)]
    found = random_boxes(rng.random((count, 4), np.float32), sides, 0.08).numpy()
    share = np.linspace(0.02, 0.98, 49)
    for side in range(2):
        away = np.quantile(found[:, 2 + side], share) - np.quantile(expected[:, side], share)
        assert np.abs(away).max() < 0.02 * sides[side]
        room = sides[side] - found[:, 2 + side]
        places = found[:, side][room > 50] / room[room > 50]
        assert (places.min(), np.median(places), places.max()) == pytest.approx((0, 0.5, 1), abs=0.02)
    assert (found[:, :2] + found[:, 2:] <= sides).all()


def test_further_random_numbers_are_uniform_and_independent(rng):
    numbers = more_uniforms(rng.random((20_000, 2), np.float32)).numpy().reshape(20_000, -1)
    assert (numbers.min(), numbers.max()) == pytest.approx((0, 1), abs=1e-4)
    np.testing.assert_allclose(numbers.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(numbers.shape[1]), atol=0.04)


def test_an_image_too_long_for_any_box_is_cropped_in_the_middle():
    draws = np.float32([[0.999, draw, 0.1, 0.9] for draw in (0.0, 0.5, 0.9)])
    np.testing.assert_array_equal(random_boxes(draws, (30, 300), 0.9), [[0, 130, 30, 40]] * 3)
    np.testing.assert_array_equal(random_boxes(draws, (300, 30), 0.9), [[130, 0, 40, 30]] * 3)


def test_the_faster_decodings_differ_a_little(rng):
    content, box = jpeg(rng.integers(0, 256, (50, 50, 3), np.uint8), (100, 100)), [5, 8, 90, 80]
    crops = {
        name: decode_and_crop(content, tf.constant(box), tf.constant(100), (32, 32), 3, decoding).numpy().astype(int)
        for name, decoding in JPEG_DECODINGS.items()
    }
    away = {name: np.abs(crop - crops["exact"]).mean() for name, crop in crops.items()}
    assert 0 < away["fast_dct"] < 2
    assert 1 < away["no_antialias"] < 30
    assert 1 < away["fast"] < 30


def test_an_image_is_mirrored_only_where_it_should_be(rng):
    image = rng.integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(mirrored(tf.constant(image), tf.constant(False)), image)
    np.testing.assert_array_equal(mirrored(tf.constant(image), tf.constant(True)), image[:, ::-1])
