"""Catches a classifier of raw pixels that is another function than the network on normalized ones, or says another thing."""

import dataclasses
import errno
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

LABELS = tuple("abcdefghij")
RGB = Preprocessing(24, 16, 3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5), crop_fraction=0.875, interpolation="bicubic")
BGR = dataclasses.replace(RGB, channel_order="bgr")
GRAY = Preprocessing(24, 16, 1, mean=(0.5,), std=(0.2,))


def network(name="ResNet20V2", input_shape=(24, 16, 3), **arguments):
    """A network whose probabilities depend on the image as they do after training."""
    keras.utils.set_random_seed(0)
    model = scramble(getattr(keras_resnet, name)(input_shape=input_shape, **arguments))
    head = model.get_layer("head_dense")
    images = np.random.default_rng(0).normal(size=(8, 24, 16, model.input_shape[-1]))
    logits = keras.Model(model.input, head.output)(images).numpy()
    factor = 3 / np.std(logits, axis=0).max()
    head.kernel.assign(head.kernel * factor)
    head.bias.assign((head.bias - logits.mean(axis=0)) * factor)
    return model


def test_a_loaded_classifier_scales_pixels_otherwise_than_its_preprocessing(tmp_path, monkeypatch):
    """By its name, or from a file; a path is no name."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    net = keras_resnet.ResNet20V2(weights="digits")
    expected = net.predict(keras_resnet.preprocessing_for(net).normalize(pixels), verbose=0)
    keras_resnet.save_classifier(net, tmp_path / "a.keras", LABELS)
    for source in ("ResNet20V2/digits", "a.keras", tmp_path / "a.keras"):
        loaded = keras_resnet.load_classifier(source)
        for given in (pixels, pixels.astype("float32")):
            np.testing.assert_allclose(loaded.predict(given, verbose=0), expected, atol=1e-5)
        assert keras.layers.BatchNormalization in map(type, loaded.layers)
    keras_resnet.to_stock(net).save("bare.keras")
    for wrong, part in (
        ("bare.keras", "bare.keras carries no labels and preprocessing"),
        ("./ResNet20V2/digits", "./ResNet20V2/digits"),
        ("ResNet20V2/letters", "there are ResNet20V2/cifar10_jpeg, ResNet20V2/digits"),
        (Path("ResNet20V2/digits"), "ResNet20V2/digits"),
        ("digits", "digits"),
        (7, "7"),
    ):
        with pytest.raises(UserError, match=part):
            keras_resnet.load_classifier(wrong)


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(5).integers(0, 256, (3, 24, 16, 3)).astype("uint8")


def assert_same(classifier, model, preprocessing, pixels):
    expected = np.array(model(preprocessing.normalize(pixels)))
    assert np.ptp(expected, axis=0).max() > 0.05  # the pixels matter
    np.testing.assert_allclose(classifier(pixels), expected, atol=5e-4)


@pytest.mark.parametrize(
    ("arguments", "preprocessing"),
    [
        ({}, RGB),
        ({}, BGR),
        ({"input_shape": (None, None, 3)}, BGR),
        ({"name": "ResNet20V1", "shortcut": "exclusive_gating"}, RGB),
        ({"name": "PlainNet20"}, BGR),
        ({"unit": "relu_only_preactivation", "stochastic_depth": 0.5, "classifier_dropout": 0.5}, BGR),
        ({"name": "ResNet18V1", "width_multiplier": 0.1, "classes": 10}, BGR),
        ({"name": "ResNet50V2Slim", "width_multiplier": 0.1, "classes": 10}, BGR),
    ],
)
def test_the_file_is_another_function_than_the_network_on_normalized_pixels(arguments, preprocessing, pixels, tmp_path):
    model = network(**arguments)
    before = model.get_weights()
    keras_resnet.save_classifier(model, tmp_path / "c.keras", LABELS, preprocessing)
    assert_same(keras.saving.load_model(tmp_path / "c.keras"), model, preprocessing, pixels)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)  # a stem that is turned round is the copy's


def test_gray_images_make_another_function(pixels, tmp_path):
    model = network(input_shape=(24, 16, 1))
    keras_resnet.save_classifier(model, tmp_path / "c.keras", LABELS, GRAY)
    assert_same(keras_resnet.load_model(tmp_path / "c.keras"), model, GRAY, pixels[..., :1])


def test_a_network_behind_layers_of_the_users_own_loses_them(pixels, tmp_path):
    inputs = keras.Input((24, 16, 3))
    model = network(input_shape=None, input_tensor=keras.layers.Rescaling(0.5, name="half")(inputs))
    keras_resnet.save_classifier(model, tmp_path / "c.keras", LABELS, RGB)
    assert_same(keras.saving.load_model(tmp_path / "c.keras"), model, RGB, pixels)


@pytest.mark.parametrize("preprocessing", [RGB, BGR], ids=["rgb", "bgr"])
def test_the_record_inside_says_something_else_than_the_file_does(preprocessing, model, pixels, tmp_path):
    """The file reads RGB, whatever the network does, and so the record says RGB."""
    path = tmp_path / "c.keras"
    keras_resnet.save_classifier(model, path, np.array(LABELS), preprocessing, dataset="digits")
    record = ClassifierMetadata.read_from(path)
    assert record == ClassifierMetadata("resnet20v2", "digits", LABELS, RGB)
    assert all(type(label) is str for label in record.labels)
    again = keras_resnet.ResNet20V2(input_shape=(24, 16, 3), weights=path)
    assert keras_resnet.preprocessing_for(again) == RGB
    assert_same(keras.saving.load_model(path), again, keras_resnet.preprocessing_for(again), pixels)


@pytest.mark.parametrize("preprocessing", [RGB, BGR], ids=["rgb", "bgr"])
def test_a_classifier_made_of_a_classifiers_weights_has_its_channels_turned_twice(preprocessing, model, pixels, tmp_path):
    keras_resnet.save_classifier(model, tmp_path / "c.keras", LABELS, preprocessing)
    again = keras_resnet.ResNet20V2(input_shape=(24, 16, 3), weights=tmp_path / "c.keras")
    keras_resnet.save_classifier(again, tmp_path / "d.keras", LABELS)
    assert_same(keras.saving.load_model(tmp_path / "d.keras"), model, preprocessing, pixels)
    assert ClassifierMetadata.read_from(tmp_path / "c.keras") == ClassifierMetadata.read_from(tmp_path / "d.keras")


def test_the_file_needs_this_package_to_load(model, pixels, tmp_path):
    """The interpreter runs isolated from it."""
    keras_resnet.save_classifier(model, tmp_path / "c.keras", LABELS, BGR)
    np.savez(tmp_path / "c.npz", pixels=pixels, probabilities=model(BGR.normalize(pixels)))
    program = """
import sys
sys.modules["keras_resnet"] = None
import keras, numpy
model, data = keras.saving.load_model(sys.argv[1]), numpy.load(sys.argv[2])
assert abs(model.predict(data["pixels"], verbose=0) - data["probabilities"]).max() < 5e-4
assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, tmp_path / "c.keras", tmp_path / "c.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "labels", "preprocessing", "message"),
    [
        ({"include_top": False, "pooling": "avg"}, LABELS, RGB, "no top that ends in probabilities"),
        ({"classifier_activation": None}, LABELS, RGB, "no top that ends in probabilities"),
        pytest.param(
            {"classifier_activation": "linear"},
            LABELS,
            RGB,
            "no top that ends in probabilities",
        ),
        ({}, LABELS[:9], RGB, "has 10 classes, but there are 9"),
        ({}, (*LABELS, "k"), RGB, "has 10 classes, but there are 11"),
        ({}, (*LABELS[:9], "a"), RGB, "has 10 classes, but there are 9 different labels"),
        ({}, (), RGB, "has 10 classes, but there are 0"),
        ({}, LABELS, dataclasses.replace(RGB, height=32), r"takes images of \(24, 16, 3\), .* makes \(32, 16, 3\)"),
        ({"input_shape": (16, 24, 3)}, LABELS, RGB, r"input_shape=\(24, 16, 3\)"),
        ({"input_shape": (None, 24, 3)}, LABELS, RGB, r"input_shape=\(24, 16, 3\)"),
        ({}, LABELS, GRAY, r"makes \(24, 16, 1\)"),
        ({"input_shape": (24, 16, 1)}, LABELS, RGB, r"makes \(24, 16, 3\)"),
        ({}, LABELS, None, "no weights of known preprocessing; name one of keras_applications_v1"),
    ],
)
def test_what_does_not_match_is_written_or_fails_at_length(arguments, labels, preprocessing, message, tmp_path):
    model = keras_resnet.ResNet20V2(**{"input_shape": (24, 16, 3)} | arguments)
    with pytest.raises(UserError, match=message) as caught:
        keras_resnet.save_classifier(model, tmp_path / "c.keras", labels, preprocessing)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_channels_first_is_written(model, tmp_path):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(UserError, match="channels_last"):
            keras_resnet.save_classifier(model, tmp_path / "c.keras", LABELS, RGB)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_half_a_file_or_takes_the_old_one(model, tmp_path, monkeypatch):
    path = tmp_path / "c.keras"
    keras_resnet.save_classifier(model, path, LABELS, RGB)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(ClassifierMetadata, "write_into", full)
    with pytest.raises(OSError, match="no space left"):
        keras_resnet.save_classifier(model, path, LABELS, BGR)
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before
