"""Catches weight files and archives that are wrong and are loaded, or end in a traceback, take gigabytes or never end."""

import os
import sys

import keras
import numpy as np
import psutil
import pytest
from life import mutations, weight_files, wrong_keras_files, wrong_weights
from safetensors.numpy import save_file

import keras_resnet
from keras_resnet import UserError
from keras_resnet.archives import open_archive, open_member
from keras_resnet.keras_files import check_keras_file
from keras_resnet.weights.readers import keras_layers, read

MEGABYTES = 256  # that a refusal may take


@pytest.fixture(scope="module")
def model():
    return weight_files.small_network()


@pytest.fixture(scope="module")
def shared_target():
    return weight_files.small_network()


@pytest.fixture
def target(shared_target):
    """A network of zeros to load into."""
    shared_target.set_weights([np.zeros(weight.shape) for weight in shared_target.weights])
    return shared_target


def peak_megabytes():
    """Of memory, so far; macOS counts bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset >> 20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)


def assert_refused(model, path, message, call):
    """In one line that names the file, with no weight changed and no memory taken."""
    before, peak = model.get_weights(), peak_megabytes()
    with pytest.raises(UserError, match=message) as caught:
        call(path)
    assert path.name in str(caught.value)
    assert str(caught.value).isprintable()
    assert peak_megabytes() - peak < MEGABYTES
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def message_of(call):
    """What a `UserError` says; "" if there is none."""
    try:
        call()
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", weight_files.WRITERS)
def test_a_good_file_is_refused_or_loads_other_values(kind, model, target, tmp_path):
    if kind in weight_files.TORCH_KINDS:
        pytest.importorskip("torch")
    weight_files.WRITERS[kind](model, tmp_path / "good")
    loaded = keras_resnet.load_weights(target, tmp_path / "good")
    for expected, weight in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(expected, weight, err_msg=weight.path)


@pytest.mark.parametrize("title", wrong_weights.BAD_WEIGHTS)
def test_a_wrong_weight_file_is_loaded_or_ends_in_a_traceback(title, model, tmp_path):
    make, message = wrong_weights.BAD_WEIGHTS[title]
    if any(word in title for word in weight_files.TORCH):
        pytest.importorskip("torch")
    make(model, tmp_path / "bad.bin")
    assert_refused(model, tmp_path / "bad.bin", message, lambda path: keras_resnet.load_weights(model, path))


@pytest.mark.parametrize("title", wrong_keras_files.BAD_KERAS)
def test_a_wrong_keras_file_is_loaded_or_ends_in_a_traceback(title, model, tmp_path):
    make, message = wrong_keras_files.BAD_KERAS[title]
    make(model, tmp_path / "bad.keras")
    assert_refused(model, tmp_path / "bad.keras", message, keras_resnet.load_model)


@pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
def test_what_is_not_a_regular_file_is_waited_for(make, model, tmp_path):
    """A pipe without a writer has no end."""
    if not hasattr(os, make):
        pytest.skip("there are no such files here")
    getattr(os, make)(tmp_path / "odd.keras")
    for call in (lambda path: keras_resnet.load_weights(model, path), keras_resnet.load_model):
        assert_refused(model, tmp_path / "odd.keras", "it is a (folder|pipe)", call)


def test_a_file_that_may_not_be_read_is_a_traceback_in_code(model, tmp_path, monkeypatch):
    (tmp_path / "a.safetensors").write_bytes(b"")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UserError, match=r"a\.safetensors cannot be read: Permission denied"):
        keras_resnet.load_weights(model, tmp_path / "a.safetensors")


def test_tensors_that_share_their_values_are_misread(model, target, tmp_path):
    """`expand` repeats one value, which takes no room in the file."""
    torch = pytest.importorskip("torch")

    def change(content):
        content["state_dict"]["bn1.bias"] = torch.tensor(0.25).expand(2)
        return content

    weight_files.save_torch(model, tmp_path / "a.pth", change=change)
    loaded = keras_resnet.load_weights(target, tmp_path / "a.pth")
    np.testing.assert_array_equal(loaded.get_layer("stem_norm").beta, [0.25, 0.25])


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_weights_of_another_precision_in_hdf5_are_refused(dtype, target, tmp_path):
    model = weight_files.small_network(dtype=dtype)
    model.save_weights(tmp_path / "a.weights.h5")
    loaded = keras_resnet.load_weights(target, tmp_path / "a.weights.h5")
    for expected, weight in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(expected, np.float32), weight)


def test_the_layers_of_early_keras_3_are_unknown(model, target, tmp_path):
    """It wrote no names into the weights; the configuration beside them has them."""

    def without_names(file, path):
        file.visititems(lambda name, found: found.attrs.pop("name", None) and None)

    wrong_keras_files.keras_with_h5(model, tmp_path / "a.keras", without_names)
    loaded = keras_resnet.load_weights(target, tmp_path / "a.keras")
    for expected, weight in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(expected, weight, err_msg=weight.path)


def test_a_program_or_a_large_head_beside_the_network_is_read(model, tmp_path):
    """A tensor that the network has no room for is not read, whose shape is enough to leave it out or to name it."""
    state = weight_files.state_dict(model) | {
        "linear.weight": np.zeros((2000, 8), "float32"),
        "linear.bias": np.zeros(2000, "float32"),
    }
    save_file(state, tmp_path / "a.safetensors")
    assert read(str(tmp_path / "a.safetensors"))["linear.weight"].shape == (2000, 8)
    keras_resnet.load_weights(model, tmp_path / "a.safetensors", skip_head=True)
    with pytest.raises(UserError, match=r"head_dense/kernel \(8, 2000\) instead of"):
        keras_resnet.load_weights(model, tmp_path / "a.safetensors")


def test_what_another_model_calls_layers_is_taken_for_a_damage(tmp_path):
    """A separable convolution has far fewer weights than a whole one; a custom layer may call anything `layers`."""
    inputs = keras.Input((8, 8, 256))
    x = keras.layers.SeparableConv2D(512, 7, name="separable")(inputs)
    model = keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.Dense(2))(x))
    model.save(tmp_path / "a.keras")
    loaded = keras_resnet.load_model(tmp_path / "a.keras")
    for expected, weight in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(expected, weight)

    def with_custom_layers(config):
        config["config"]["layers"][1]["config"] |= {"layers": [64, 64], "layer": {"units": 3}}
        return config

    weight_files.with_config(tmp_path / "a.keras", with_custom_layers)
    assert check_keras_file(tmp_path / "a.keras") == 4
    assert len(keras_layers(str(tmp_path / "a.keras"))) == 3


def test_a_stored_member_is_read_at_other_places_than_zipfile_reads_it(rng, tmp_path):
    content = rng.bytes(100_000)
    weight_files.write_members(tmp_path / "a.zip", {"first": b"1" * 1000, "second": content})
    with open_archive(tmp_path / "a.zip") as archive, open_member(tmp_path / "a.zip", archive, "second") as member:
        assert member.seek(0, 2) == len(content)
        for place in (0, 99_990, 5, 60_000):
            member.seek(place)
            assert member.read(50) == content[place : place + 50]


def test_a_compressed_pytorch_file_is_refused(model, target, tmp_path):
    """As `zip` makes of one that was unpacked."""
    pytest.importorskip("torch")
    weight_files.write_torch(model, tmp_path / "a.pth")
    weight_files.write_members(tmp_path / "a.pth", weight_files.members_of(tmp_path / "a.pth"), method=8)
    loaded = keras_resnet.load_weights(target, tmp_path / "a.pth")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("kind", weight_files.WRITERS)
@pytest.mark.parametrize("seed", range(10))
def test_a_mutated_file_ends_in_a_traceback(kind, seed, model, tmp_path):
    """It is refused in one line, or loaded."""
    if kind in weight_files.TORCH_KINDS:
        pytest.importorskip("torch")
    weight_files.WRITERS[kind](model, tmp_path / "bad.bin")
    mutations.mutate_file(tmp_path / "bad.bin", seed)
    before, peak = model.get_weights(), peak_megabytes()
    refused = message_of(lambda: keras_resnet.load_weights(model, tmp_path / "bad.bin"))
    assert "\n" not in refused
    for old, new in zip(before, model.get_weights() if refused else before, strict=True):
        np.testing.assert_array_equal(old, new)
    model.set_weights(before)
    assert peak_megabytes() - peak < MEGABYTES
