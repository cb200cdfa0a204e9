"""Catches crops that are resized to other pixels than TensorFlow's own function gives, or mirrored where they should not be."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resnet.training.data.decoding.random_crops import crop_pixels, decode_and_crop, mirrored, random_box, resized
from keras_resnet.training.recipes import JPEG_DECODINGS

SIZES = [(20, 30), (64, 48), (7, 90), (100, 9), (24, 16), (1, 1), (200, 150)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sides", SIZES)
def test_resizing_gives_what_tensorflow_gives(sides, channels, rng):
    image = rng.integers(0, 256, (*sides, channels), np.uint8)
    for antialias in (True, False):
        found = resized(tf.constant(image), (24, 16), channels, antialias).numpy()
        expected = tf.image.resize(image, (24, 16), antialias=antialias).numpy()
        assert (found.shape, found.dtype) == ((24, 16, channels), np.uint8)
        assert np.abs(found - expected).max() <= 0.501


def test_a_jpeg_is_cropped_to_the_pixels_that_its_whole_has_there(rng):
    file = io.BytesIO()
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((160, 120)))
    Image.fromarray(smooth).save(file, "JPEG", quality=95)
    pixels = tf.io.decode_jpeg(file.getvalue(), 3, dct_method="INTEGER_ACCURATE")
    exact = JPEG_DECODINGS["exact"]
    for uniforms in rng.random((9, 4), np.float32):
        crop = decode_and_crop(tf.constant(file.getvalue()), uniforms, (32, 24), 3, 0.1, exact).numpy()
        # libjpeg sees no neighbors of the outermost columns of a box, and upsamples their colors in another way.
        away = np.abs(crop.astype(int) - crop_pixels(pixels, uniforms, (32, 24), 0.1, exact).numpy())
        assert away[:, 1:-1].max() <= 2
        assert away.max() <= 4
        assert away.mean() < 0.05
        top, left, height, width = random_box(uniforms, 120, 160, 0.1).numpy()
        box = pixels[top : top + height, left : left + width]
        assert np.abs(crop - tf.image.resize(box, (32, 24), antialias=True)).mean() < 0.5


def test_the_faster_decodings_differ_a_little(rng):
    noise = Image.fromarray(rng.integers(0, 256, (50, 50, 3), np.uint8)).resize((100, 100))
    file = io.BytesIO()
    noise.save(file, "JPEG", quality=90)
    uniforms = np.array([0.9, 0.5, 0.5, 0.5], np.float32)
    crops = {
        name: decode_and_crop(tf.constant(file.getvalue()), uniforms, (32, 32), 3, 0.1, decoding).numpy().astype(int)
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
