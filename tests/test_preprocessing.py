"""Catches pixels that mean something else in training, evaluation and export, and a record that a file does not keep."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet import UserError
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

RGB = Preprocessing(4, 6, 3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))


def test_the_layer_scales_raw_pixels_per_channel(rng):
    pixels = rng.integers(0, 256, (2, 4, 6, 3)).astype("float32")
    inputs = keras.Input((4, 6, 3))
    scaled = keras.Model(inputs, RGB.layer()(inputs))(pixels)
    np.testing.assert_allclose(scaled, (pixels / 255 - RGB.mean) / RGB.std, rtol=1e-4, atol=1e-5)


def test_statistics_are_those_of_the_images(rng):
    images = rng.integers(0, 256, (20, 5, 7, 2)).astype("uint8")
    found = Preprocessing.from_images(images)
    assert (found.height, found.width, found.channels) == (5, 7, 2)
    np.testing.assert_allclose(found.mean, (images / 255).mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(found.std, (images / 255).std(axis=(0, 1, 2)), atol=1e-5)


def test_a_constant_channel_does_not_divide_by_zero():
    assert np.all(np.array(Preprocessing.from_images(np.full((3, 2, 2, 1), 7, "uint8")).std) > 0)


def test_an_image_of_the_right_size_goes_through_unchanged(rng, tmp_path):
    image = rng.integers(0, 256, (4, 6, 3)).astype("uint8")
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(RGB.load_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize("size", [(3, 9), (90, 11), (6, 4), (1, 1), (37, 41)])
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875])
def test_any_size_comes_out_as_the_networks(size, crop_fraction):
    preprocessing = Preprocessing(4, 6, 1, (0.5,), (0.5,), crop_fraction)
    assert preprocessing.resize_and_crop(Image.new("L", size, 9)).shape == (4, 6, 1)


def test_the_crop_is_the_center_with_the_aspect_ratio_kept():
    image = Image.new("L", (30, 10), 0)
    image.paste(200, (10, 0, 20, 10))
    square = Preprocessing(10, 10, 1, (0.5,), (0.5,)).resize_and_crop(image)
    assert np.all(square == 200)


def test_gray_and_color_are_converted_and_transparency_is_dropped(tmp_path):
    Image.new("RGBA", (6, 4), (255, 0, 0, 255)).save(tmp_path / "a.png")
    gray = Preprocessing(4, 6, 1, (0.5,), (0.5,))
    assert gray.load_image(tmp_path / "a.png").shape == (4, 6, 1)
    assert tuple(RGB.load_image(tmp_path / "a.png")[0, 0]) == (255, 0, 0)


def test_a_photo_is_turned_upright(rng, tmp_path):
    image = Image.fromarray(rng.integers(0, 256, (4, 6), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3  # orientation: upside down
    image.rotate(180).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(Preprocessing(4, 6, 1, (0.5,), (0.5,)).load_image(tmp_path / "a.png")[..., 0], image)


def test_sixteen_bits_keep_their_range_and_modes_without_one_are_refused(rng, tmp_path):
    gray = Preprocessing(4, 6, 1, (0.5,), (0.5,))
    pixels = rng.integers(0, 65536, (4, 6), dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(gray.load_image(tmp_path / "a.png")[..., 0], pixels >> 8)
    Image.fromarray(pixels.astype(np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(UserError, match="mode F"):
        gray.load_image(tmp_path / "a.tiff")


def test_a_damaged_record_is_a_users_error():
    for text in ("{}", "[]", "no json", '{"preprocessing": {"depth": 3}}'):
        with pytest.raises(UserError, match="damaged"):
            ClassifierMetadata.from_json(text)


def test_the_record_survives_in_a_zip_archive_and_behind_other_bytes(tmp_path):
    record = ClassifierMetadata("ResNet20V2", "things", ("a", "é"), RGB)
    for start in (b"", b"TFL3 and so on"):
        path = tmp_path / "file"
        path.write_bytes(start)
        record.write_into(path)
        assert ClassifierMetadata.read_from(path) == record
        assert path.read_bytes().startswith(start)


def test_a_file_without_a_record_has_none(tmp_path):
    (tmp_path / "file").write_text("nothing")
    assert ClassifierMetadata.read_from(tmp_path / "file") is None
