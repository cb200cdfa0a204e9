"""Catches trained weights that are not what the index says, and a user's mistake about them that is not one clear line."""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
from conftest import ROOT
from safetensors import safe_open

import keras_resnet
from keras_resnet import UserError
from keras_resnet.constructors import constructor
from keras_resnet.errors import one_line
from keras_resnet.files import sha256_of
from keras_resnet.weights.pretrained import entries, lookup, packing
from keras_resnet.weights.pretrained.data_sources import DATA_SOURCES
from keras_resnet.weights.structure import Structure

ENTRIES = keras_resnet.list_pretrained()
FOLDER = ROOT / "keras_resnet" / "weights" / "pretrained"
DIGITS = lookup.find_entry("ResNet20V2", "digits")

each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.full_name)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the folder of the weights, in the place of the package's."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    for path in (FOLDER / lookup.INDEX, *FOLDER.glob("*.safetensors")):
        shutil.copy(path, folder)
    monkeypatch.setattr(entries, "FOLDER", folder)
    yield folder
    lookup.read_index.cache_clear()


def refusal(call, *arguments, **named):
    """The line that the call is refused with."""
    with pytest.raises(UserError) as caught:
        call(*arguments, **named)
    assert str(caught.value) == one_line(caught.value)
    return str(caught.value)


# The index and the files


def test_a_file_has_no_entry_or_an_entry_no_file():
    assert {entry.path.name for entry in ENTRIES} == {path.name for path in FOLDER.glob("*.safetensors")}
    assert len({entry.full_name for entry in ENTRIES}) == len(ENTRIES)


def test_all_files_together_are_too_large_for_a_wheel():
    assert sum(entry.path.stat().st_size for entry in ENTRIES) <= packing.MAX_BYTES == 6_000_000


@each
def test_a_file_is_another_than_the_one_that_was_measured(entry):
    assert (entry.path.stat().st_size, sha256_of(entry.path)) == (entry.bytes, entry.sha256)
    assert entry.checked_path() == entry.path


@each
def test_a_record_is_incomplete_or_names_a_folder_of_its_makers_machine(entry):
    assert entry.name in DATA_SOURCES
    assert entry.model in keras_resnet.list_models()
    assert 0 < entry.correct <= entry.images
    assert 100 * abs(entry.correct - entry.correct_in_float32) <= packing.MAX_DROP * entry.images
    assert {"reference", "batch_size", "epochs", "learning_rate", "optimizer"} <= set(entry.recipe)
    assert entry.command.startswith(f"keras-resnet train --model={entry.model} ")
    text = json.dumps(packing.dataclasses.asdict(entry))
    assert not any(f"{before}{folder}" in text for folder in ("/home", "/root", "/work", "/tmp") for before in ('"', "="))
    for part in (entry.source.license, entry.license, entry.sha256, entry.command, f"{entry.accuracy:.2%}", str(entry.seed)):
        assert part in entry.card


@each
def test_a_file_has_numbers_that_float16_cannot_hold(entry):
    """Variances are float32; of the kernels none is infinite, and few that were not zero are so now."""
    with safe_open(entry.path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
    assert {array.dtype for name, array in tensors.items() if name.endswith(".kernel")} == {np.dtype("float16")}
    assert {array.dtype for name, array in tensors.items() if not name.endswith(".kernel")} == {np.dtype("float32")}
    assert all(np.isfinite(array).all() for array in tensors.values())
    assert all((array > 0).all() for name, array in tensors.items() if name.endswith("moving_variance"))


@each
def test_the_network_of_a_record_is_another_than_the_named_one(entry):
    model = getattr(keras_resnet, entry.model)(weights=entry.name)
    assert Structure.of_model(model) == entry.structure
    assert model.input_shape == (None, *entry.preprocessing.shape)
    assert model.output_shape == (None, len(entry.class_names))
    assert keras_resnet.preprocessing_for(model) == entry.preprocessing
    assert entry.name in getattr(keras_resnet, entry.model).__doc__


def test_the_index_is_read_from_the_disk_at_every_call_or_can_be_changed_by_its_user():
    assert keras_resnet.list_pretrained()[0] is keras_resnet.list_pretrained()[0]
    keras_resnet.list_pretrained().clear()
    assert keras_resnet.list_pretrained() == ENTRIES
    assert len({hash(entry) for entry in ENTRIES}) == len(ENTRIES)
    assert repr(DIGITS) == "<ResNet20V2/digits: 8x8x1, 10 classes, 99.72% of 360 test images, 555,608 bytes>"


@pytest.mark.parametrize("content", ["[", "{}x", '[{"model": "ResNet20V2"}]', "[7]", '{"a": 1}', "7"])
def test_a_damaged_index_ends_in_a_traceback(content, copied):
    (copied / lookup.INDEX).write_text(content)
    line = refusal(keras_resnet.list_pretrained)
    assert line.startswith(f"{copied / lookup.INDEX}, the index of the trained weights, is damaged: ")
    assert line.endswith("; install keras-resnet-zoo again")
    assert line.count(lookup.INDEX) == 1


@pytest.mark.parametrize("damage", [lambda path: path.write_text("["), lambda path: path.unlink()], ids=["damaged", "missing"])
def test_a_damaged_index_is_in_the_way_of_what_needs_no_trained_weights(damage, copied, tmp_path, monkeypatch):
    damage(copied / lookup.INDEX)
    monkeypatch.chdir(tmp_path)
    model = constructor("ResNet20V2")(input_shape=(8, 8, 1))  # with a docstring of its own
    for path in ("a.weights.h5", str(tmp_path / "b.weights.h5")):
        model.save_weights(path)
        keras_resnet.load_weights(model, path)
    line = refusal(keras_resnet.load_weights, model, "/no/such.h5")
    assert line.startswith("no weights '/no/such.h5'")
    assert "'digits'" in line
    assert lookup.resolve_model_path("./ResNet20V2") == "./ResNet20V2"
    assert lookup.entry_of_file(tmp_path / "x.safetensors") is None
    for call in (keras_resnet.list_pretrained, lambda: keras_resnet.load_weights(model, "digits")):
        assert refusal(call).endswith("; install keras-resnet-zoo again")


@pytest.mark.parametrize(
    "load",
    [
        lambda: keras_resnet.ResNet20V2(weights="digits"),
        DIGITS.checked_path,
        lambda: lookup.resolve_model_path("ResNet20V2/digits"),
    ],
)
def test_a_damaged_file_is_loaded(load, copied):
    path = copied / DIGITS.path.name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last weight, which no format notices
    path.write_bytes(content)
    assert "damaged: its SHA-256 is" in refusal(load)
    path.unlink()
    assert "cannot be read: No such file or directory; install keras-resnet-zoo again" in refusal(load)
    path.mkdir()
    assert "cannot be read: Is a directory; install keras-resnet-zoo again" in refusal(load)


# Constructors


def test_weights_with_another_shape_or_without_the_top_are_other_weights(rng):
    images = rng.normal(size=(2, 8, 8, 1)).astype("float32")
    whole = keras_resnet.ResNet20V2(weights="digits")
    features = keras_resnet.ResNet20V2(weights="digits", include_top=False)
    assert features.input_shape == (None, None, None, 1)
    np.testing.assert_array_equal(features(images), keras.Model(whole.input, whole.get_layer("head_relu").output)(images))
    for fitting in (
        {"input_shape": (None, None, 1)},
        {"input_shape": [8, 8, 1], "classes": 10},
        {"input_tensor": keras.Input((8, 8, 1))},
        {"block": "basic", "unit": "full_preactivation", "shortcut": "A", "width_multiplier": 1.0},
        {"stochastic_depth": 0.2, "classifier_dropout": 0.5, "zero_init_residual": True},
    ):
        np.testing.assert_array_equal(keras_resnet.ResNet20V2(weights="digits", **fitting)(images), whole(images))
    other = keras_resnet.ResNet20V2(weights="digits", include_top=False, input_shape=(30, 17, 1), pooling="avg", classes=3)
    assert (other.input_shape, other.output_shape) == ((None, 30, 17, 1), (None, 64))


def test_channels_first_takes_the_shape_of_the_other_order():
    keras.config.set_image_data_format("channels_first")
    try:
        assert keras_resnet.ResNet20V2(weights="digits").input_shape == (None, 1, 8, 8)
        assert "are for (1, 8, 8)" in refusal(keras_resnet.ResNet20V2, weights="digits", input_shape=(8, 8, 1))
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"input_shape": (32, 32, 3)}, ["(32, 32, 3)", "ResNet20V2/digits", "(8, 8, 1)", "include_top=False"]),
        ({"input_shape": (8, 8, None)}, ["(8, 8, None)", "(8, 8, 1)"]),
        ({"input_shape": (64, 64, 3), "include_top": False}, ["(64, 64, 3)", "(None, None, 1)"]),
        ({"input_shape": (8, 8)}, ["(8, 8)", "(height, width, channels)"]),
        ({"input_shape": 8}, ["8", "(height, width, channels)"]),
        ({"input_tensor": keras.Input((8, 8, 3))}, ["8x8x1", "3 channels", "(None, None, 1)"]),
        (
            {"classes": 5},
            ["10 classes", "5", "load_weights(ResNet20V2(classes=5, input_shape=(None, None, 1)), 'digits', skip_h"],
        ),
        ({"classes": "ten"}, ["ten"]),
        ({"classes": "10"}, ["classes is '10'", "a whole number"]),
        ({"classes": 3.0}, ["classes is 3.0", "a whole number"]),
        ({"classes": True}, ["classes is True", "a whole number"]),
        ({"unit": "original"}, ["ResNet20V2 as it is", "leave out unit='original'"]),
        ({"shortcut": "B", "width_multiplier": 2}, ["leave out shortcut='B', width_multiplier=2"]),
        ({"block": "bottleneck"}, ["leave out block='bottleneck'"]),
        ({"unit": "no_such"}, ["no_such"]),
        ({"weights": "digit"}, ["no weights 'digit'", "a file", "'imagenet'", "'digits'"]),
        ({"weights": "imagenet"}, ["no weights 'imagenet'"]),
        ({"weights": 7}, ["weights are 7", "'digits'"]),
    ],
    ids=str,
)
def test_an_argument_that_does_not_fit_is_not_refused_in_a_line_that_says_what_does(arguments, parts):
    line = refusal(keras_resnet.ResNet20V2, **{"weights": "digits", **arguments})
    for part in parts:
        assert part in line


def test_a_network_without_such_weights_does_not_say_which_have_them():
    line = refusal(keras_resnet.ResNet32V1, weights="digits")
    assert line == "no weights 'digits' for ResNet32V1: ResNet20V2 has them, and ResNet32V1 has none"
    model = keras_resnet.ResNet20V1(input_shape=(8, 8, 1))
    assert "no weights 'digits' for resnet20v1: ResNet20V2 has them" in refusal(keras_resnet.load_weights, model, "digits")


def test_without_weights_the_number_of_classes_is_no_longer_the_familys():
    assert keras_resnet.ResNet20V2().output_shape == (None, 10)
    assert keras_resnet.ResNet18V1(classes=None).output_shape == (None, 1000)
    assert keras_resnet.ResNet20V2(classes=7).output_shape == (None, 7)


# load_weights


def test_weights_are_found_by_the_name_of_a_model_and_not_by_what_it_is():
    expected = keras_resnet.ResNet20V2(weights="digits")
    for model in (
        keras_resnet.ResNet20V2(input_shape=(8, 8, 1), name="mine"),
        keras_resnet.ResNet20V1(input_shape=(28, 28, 1), unit="full_preactivation"),
    ):
        assert keras_resnet.load_weights(model, "digits") is model
        for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["ResNet20V2/digits", "digits"])
def test_a_varied_network_is_told_that_it_has_no_such_weights_though_its_name_has(name):
    model = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), shortcut="conv1x1")
    line = refusal(keras_resnet.load_weights, model, name)
    assert line == (
        "the weights ResNet20V2/digits are for ResNet20V2 as it is, and resnet20v2 has another shortcut: "
        "build it without arguments that vary it"
    )


def test_the_name_that_commands_take_is_another_name_than_pythons():
    model = keras_resnet.ResNet20V2(weights="ResNet20V2/digits")
    np.testing.assert_array_equal(model.get_weights()[0], keras_resnet.ResNet20V2(weights="digits").get_weights()[0])
    other = refusal(keras_resnet.ResNet20V1, weights="ResNet20V2/digits")
    assert other == "no weights 'ResNet20V2/digits' for ResNet20V1: ResNet20V2 has them, and ResNet20V1 has fashion_mnist"


def test_output_stride_is_refused_though_it_changes_no_weights(rng):
    assert keras_resnet.ResNet20V2(weights="digits", output_stride=2, include_top=False).count_params()


def test_another_number_of_classes_loads_a_classifier_or_nothing():
    model = keras_resnet.ResNet20V2(classes=5, input_shape=(None, None, 1))
    before, head = model.get_weights(), model.get_layer("head_dense").get_weights()
    assert "skip_head=True" in refusal(keras_resnet.load_weights, model, "digits")
    assert all(np.array_equal(ours, old) for ours, old in zip(model.get_weights(), before, strict=True))
    keras_resnet.load_weights(model, "digits", skip_head=True)
    assert all(np.array_equal(ours, old) for ours, old in zip(model.get_layer("head_dense").get_weights(), head, strict=True))
    assert not np.array_equal(model.get_weights()[0], before[0])
    assert keras_resnet.preprocessing_for(model) == DIGITS.preprocessing


def test_another_width_is_said_to_be_a_file_in_the_package():
    model = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), width_multiplier=2)
    assert refusal(keras_resnet.load_weights, model, "digits").startswith("the weights ResNet20V2/digits does not fit")


def test_a_file_that_is_called_like_weights_is_taken_for_them(tmp_path, monkeypatch):
    """A name is a name, ./ before it or a `Path` makes it a path."""
    monkeypatch.chdir(tmp_path)
    model = keras_resnet.ResNet20V2(input_shape=(8, 8, 1))
    model.save_weights("own.weights.h5")
    pathlib.Path("own.weights.h5").rename("digits")
    expected = keras_resnet.ResNet20V2(weights="digits").get_weights()
    np.testing.assert_array_equal(expected[0], keras_resnet.load_weights(model, "digits").get_weights()[0])
    for path in ("./digits", pathlib.Path("digits")):
        loaded = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), weights=path)
        assert not np.array_equal(loaded.get_weights()[0], expected[0])
    pathlib.Path("digits").unlink()
    assert "no weights './digits'" in refusal(keras_resnet.load_weights, model, "./digits")
    assert "Path('digits')" in refusal(keras_resnet.load_weights, model, pathlib.Path("digits"))


# --model_path


@pytest.mark.parametrize("path", ["digits", "./ResNet20V2/digits", "a/b", "ResNet20V2/digits/x", "", "ResNet20V2\\digits"])
def test_a_path_is_taken_for_a_name(path):
    assert lookup.resolve_model_path(path) == path


def test_a_name_is_not_its_file_and_a_wrong_one_not_refused_with_those_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lookup.resolve_model_path("ResNet20V2/digits") == str(DIGITS.path)
    assert refusal(lookup.resolve_model_path, "resnet20v2/digits").endswith("; did you mean ResNet20V2/digits?")
    for wrong in ("ResNet20V2", "ResNet20V2/letters", "resnet20v2/digits", "ResNet50V2/digits"):
        line = refusal(lookup.resolve_model_path, wrong)
        assert f"no file or folder {wrong}, and no trained weights of this name" in line
        assert "ResNet20V2/digits" in line
    (tmp_path / "ResNet20V2").mkdir()
    assert lookup.resolve_model_path("ResNet20V2") == "ResNet20V2"


def test_another_file_of_the_same_name_is_taken_for_trained_weights(tmp_path, monkeypatch):
    copy = shutil.copy(DIGITS.path, tmp_path)
    assert lookup.entry_of_file(copy) is None
    monkeypatch.chdir(FOLDER)
    assert lookup.entry_of_file(DIGITS.path.name) == lookup.entry_of_file(DIGITS.path) == DIGITS


# Packing


def test_packed_weights_have_other_bytes_every_time_or_are_beyond_float16(tmp_path):
    model = keras_resnet.ResNet20V2(weights="digits")
    for name in ("one", "two"):
        packing.write_weights(model, tmp_path / name)
        assert sha256_of(tmp_path / name) == DIGITS.sha256
    model.get_layer("stem_conv").kernel.assign(np.full((3, 3, 1, 16), 1e5))
    assert "beyond the range of float16, in stem_conv.kernel" in refusal(packing.write_weights, model, tmp_path / "three")
    assert not (tmp_path / "three").exists()


def test_an_index_gets_an_entry_twice_or_too_many(tmp_path, monkeypatch):
    packing.write_entry(DIGITS, tmp_path)
    first = (tmp_path / lookup.INDEX).read_bytes()
    packing.write_entry(DIGITS, tmp_path)
    assert (tmp_path / lookup.INDEX).read_bytes() == first
    assert lookup.read_index(tmp_path / lookup.INDEX) == (DIGITS,)
    packing.check_size(DIGITS, tmp_path)
    other = packing.dataclasses.replace(DIGITS, model="ResNet20V1")
    monkeypatch.setattr(packing, "MAX_BYTES", 2 * DIGITS.bytes - 1)
    assert "1,111,216 bytes" in refusal(packing.check_size, other, tmp_path)


@pytest.mark.parametrize(("correct", "images", "passes"), [(9400, 10000, True), (9390, 10000, True), (9389, 10000, False)])
def test_rounding_may_cost_more_than_a_tenth_of_a_point(correct, images, passes):
    if passes:
        packing.check_rounding(correct, 9400, images)
    else:
        assert "0.1 percentage points apart" in refusal(packing.check_rounding, correct, 9400, images)
