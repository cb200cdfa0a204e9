"""Catches weights that mean something else here, a file that half loads, that runs code, or that fits by its shapes only."""

import argparse
import collections
import dataclasses
import functools
import hashlib
import io
import json
import os
import pickle
import sys
import tarfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, scramble
from keras.src.applications.resnet import WEIGHTS_HASHES
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from PIL import Image
from safetensors.numpy import save_file
from test_references import reference, state_dict

import keras_resnet
from keras_resnet import UserError
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.weights import applications, file_records
from keras_resnet.weights.checkpoint_formats import HALF, PREPROCESSING_PRESETS
from keras_resnet.weights.matching import MismatchError

SHARED = ROOT.parent / "shared" / "data"
CLASSES = 7
IMAGES = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype("float32")
FITS = {
    "ResNet50": "ResNet50V1",
    "ResNet101": "ResNet101V1",
    "ResNet152": "ResNet152V1",
    "ResNet50V2": "ResNet50V2Slim",
    "ResNet101V2": "ResNet101V2Slim",
    "ResNet152V2": "ResNet152V2Slim",
}


def published_h5(model, path, top="predictions"):
    """In the layout of the files that keras.applications publishes, as Keras 2 wrote them."""
    with h5py.File(path, "w") as file:
        names = {layer: top if layer.name == "predictions" else layer.name for layer in model.layers}
        file.attrs["layer_names"] = [name.encode() for name in names.values()]
        file.attrs["backend"] = b"tensorflow"
        for layer, name in names.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{weight.name}:0".encode() for weight in layer.weights]
            for weight in layer.weights:
                group.create_dataset(f"{name}/{weight.name}:0", data=weight.numpy())


def legacy_h5(model, path):
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


WRITERS = {
    "published.h5": published_h5,
    "legacy.h5": legacy_h5,
    "whole.h5": lambda model, path: model.save(path),
    "new.weights.h5": lambda model, path: model.save_weights(path),
    "new.keras": lambda model, path: model.save(path),
}


def keras_network(name, include_top=True, classes=CLASSES):
    """keras.applications' network, whose convolutions in front of a norm have biases."""
    top = {"classes": classes, "classifier_activation": None} if include_top else {"include_top": False}
    return scramble(getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), **top))


def network(name, include_top=True, size=64, **arguments):
    top = {"classes": CLASSES, "classifier_activation": None} if include_top else {"include_top": False}
    return getattr(keras_resnet, name)(input_shape=(size, size, 3), **top | arguments)


def once(function):
    """Calls it once for all calls that mean the same."""
    cached = functools.cache(lambda arguments: function(**dict(arguments)))
    return lambda name, include_top=True, **others: cached(
        tuple(sorted({"name": name, "include_top": include_top, **others}.items()))
    )


@pytest.fixture(scope="module")
def theirs():
    """keras.applications' networks, each of them built once."""
    return once(keras_network)


@pytest.fixture(scope="module")
def outputs(theirs):
    """What they make of `IMAGES`."""
    return once(lambda name, include_top: theirs(name, include_top)(IMAGES).numpy())


@pytest.fixture(scope="module")
def ours():
    """Networks of this zoo, each of them built once: tests load into them again and again."""
    return once(network)


@pytest.fixture(scope="module")
def files(theirs, tmp_path_factory):
    """Files of keras.applications' networks, each of them written once."""
    folder = tmp_path_factory.mktemp("files")

    def write(name, include_top):
        path = folder / f"{name}-{include_top}.h5"
        published_h5(theirs(name, include_top), path)
        return path

    yield once(write)
    for path in folder.iterdir():
        path.unlink()


@pytest.fixture
def folder(tmp_path):
    """A folder whose files do not stay: some are large."""
    yield tmp_path
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()


def emptied(model):
    """Without a trace of what was loaded before."""
    model.set_weights([np.zeros(weight.shape) for weight in model.weights])
    return model


def assert_outputs(model, expected):
    assert np.abs(model(IMAGES) - expected).max() <= 1e-5 * np.abs(expected).max()


def assert_weights(model, values):
    for weight, value in zip(model.weights, values, strict=True):
        np.testing.assert_array_equal(weight, value, err_msg=weight.path)


def assert_refused(model, path, message, error=UserError, **arguments):
    """Loading says so in one line and changes nothing."""
    before = model.get_weights()
    with pytest.raises(error, match=message) as caught:
        keras_resnet.load_weights(model, path, **arguments)
    assert "\n" not in str(caught.value)
    assert_weights(model, before)
    return caught.value


# keras.applications


@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize("file", WRITERS)
@pytest.mark.parametrize("name", ["ResNet50", "ResNet50V2"])
def test_a_network_of_keras_applications_comes_out_as_another_function(name, file, include_top, theirs, outputs, ours, folder):
    WRITERS[file](theirs(name, include_top), folder / file)
    model = keras_resnet.load_weights(emptied(ours(FITS[name], include_top)), folder / file)
    assert_outputs(model, outputs(name, include_top))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ResNet101", "new.weights.h5"),
        ("ResNet152", "published.h5"),
        ("ResNet101V2", "legacy.h5"),
        ("ResNet152V2", "new.keras"),
    ],
)
def test_a_deeper_network_of_keras_applications_comes_out_as_another_function(name, file, folder, monkeypatch):
    """Fetched as the published file that it would be."""
    original, asked = keras_network(name), []
    WRITERS[file](original, folder / file)
    monkeypatch.setattr(keras.utils, "get_file", lambda *args, **kwargs: asked.append((*args, kwargs)) or str(folder / file))
    assert_outputs(network(FITS[name], weights="imagenet"), original(IMAGES).numpy())
    [(fname, _, arguments)] = asked
    assert fname == f"{name.lower()}_weights_tf_dim_ordering_tf_kernels.h5"
    assert arguments["file_hash"] == WEIGHTS_HASHES[name.lower()][0]


@pytest.mark.parametrize("name", ["ResNet50", "ResNet50V2"])
def test_the_top_called_probs_in_the_published_files_is_unknown(name, theirs, outputs, ours, folder):
    """So it was called when the published files were written; Keras itself goes by the order of the layers alone."""
    published_h5(theirs(name), folder / "a.h5", top="probs")
    model = keras_resnet.load_weights(emptied(ours(FITS[name])), folder / "a.h5")
    assert_outputs(model, outputs(name))


@pytest.mark.parametrize(("name", "last_norm"), [("ResNet50", "conv5_block3_3_bn"), ("ResNet50V2", "post_bn")])
def test_another_epsilon_goes_unnoticed_where_the_variance_is_tiny(name, last_norm, theirs, ours, folder):
    original = theirs(name)
    layer = original.get_layer(last_norm)
    before = gamma, beta, mean, variance = layer.get_weights()
    layer.set_weights([gamma * 0.01, beta, mean, np.full_like(variance, 1e-6)])
    try:
        original.save_weights(folder / "a.weights.h5")
        expected = original(IMAGES).numpy()
    finally:
        layer.set_weights(before)
    assert_outputs(keras_resnet.load_weights(emptied(ours(FITS[name])), folder / "a.weights.h5"), expected)


# The classifier


@pytest.mark.parametrize("name", ["ResNet50", "ResNet50V2"])
def test_a_file_with_a_top_does_not_load_into_a_network_without(name, files, theirs, ours):
    model = keras_resnet.load_weights(emptied(ours(FITS[name], False)), files(name))
    features = keras.Model(theirs(name).input, theirs(name).layers[-3].output)
    assert_outputs(model, features(IMAGES).numpy())


def assert_only_the_head_is_left(model, path):
    """The hint is right: with `skip_head` the rest loads, and the classifier is what it was."""
    head = [np.array(weight) for weight in model.get_layer("head_dense").weights]
    assert keras_resnet.load_weights(model, path, skip_head=True) is model
    assert_weights(model.get_layer("head_dense"), head)


@pytest.mark.parametrize("name", ["ResNet50", "ResNet50V2"])
def test_a_file_without_a_top_leaves_a_random_classifier_unsaid(name, files, outputs, ours):
    model = scramble(ours(FITS[name]))
    error = assert_refused(model, files(name, False), r"skip_head=True", MismatchError)
    assert (error.missing, error.unexpected, error.misshaped) == (["head_dense/kernel", "head_dense/bias"], [], [])
    assert_only_the_head_is_left(model, files(name, False))
    features = keras.Model(model.input, model.get_layer("head_relu" if "V2" in name else "stage4_unit3_relu3").output)
    assert_outputs(features, outputs(name, False))


def test_another_number_of_classes_is_loaded_or_not_explained(akamaster, akamaster_weights):
    model = network("ResNet20V1", size=32, classes=5)
    error = assert_refused(model, akamaster, r"skip_head=True", MismatchError)
    assert (error.missing, error.unexpected) == ([], [])
    assert error.misshaped == [
        "head_dense/kernel (64, 10) instead of (64, 5)",
        "head_dense/bias (10,) instead of (5,)",
    ]
    assert_only_the_head_is_left(model, akamaster)
    assert_weights(model, akamaster_weights[:-2] + model.get_weights()[-2:])


def test_skip_head_is_refused_where_it_is_not_needed(akamaster, akamaster_weights):
    model = emptied(network("ResNet20V1", size=32, classes=10))
    keras_resnet.load_weights(model, akamaster, skip_head=True)
    assert_weights(model, [*akamaster_weights[:-2], np.zeros((64, 10)), np.zeros(10)])
    without = network("ResNet20V1", include_top=False, size=32)
    assert_weights(keras_resnet.load_weights(without, akamaster, skip_head=True), akamaster_weights[:-2])


# akamaster's network stands for what all files of PyTorch have in common.


@pytest.fixture(scope="module")
def state():
    """A state dict of ResNet20V1."""
    return state_dict("cifar_resnet20")


@pytest.fixture(scope="module")
def akamaster(state, tmp_path_factory):
    """A file with the weights of ResNet20V1."""
    path = tmp_path_factory.mktemp("akamaster") / "resnet20.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def akamaster_weights(akamaster):
    """The same as Keras' list; `test_references.py` tells that they are the right ones."""
    return network("ResNet20V1", size=32, classes=10, weights=akamaster).get_weights()


@pytest.fixture(scope="module")
def resnet20():
    return scramble(network("ResNet20V1", size=32, classes=10))


# The kind of file


def torch_zip(torch, content, path):
    torch.save(content, path)


def torch_legacy(torch, content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_small(kind, path, resnet20, state):
    """The weights of a ResNet20V1 in any kind of file."""
    if kind == "safetensors":
        save_file(state, path)
    elif kind in WRITERS:
        WRITERS[kind](resnet20, path.with_name(kind))
        path.with_name(kind).rename(path)
    else:
        torch = pytest.importorskip("torch")
        content = {"state_dict": {name: torch.from_numpy(array.copy()) for name, array in state.items()}, "epoch": 3}
        {"torch": torch_zip, "torch_legacy": torch_legacy}[kind](torch, content, path)


@pytest.mark.parametrize("kind", [*WRITERS, "safetensors", "torch", "torch_legacy"])
def test_a_file_is_known_by_its_name_and_not_by_its_content(kind, resnet20, state, akamaster_weights, folder):
    path = folder / "a.bin"
    write_small(kind, path, resnet20, state)
    expected = resnet20.get_weights() if kind in WRITERS else akamaster_weights
    for name in ("a.bin", "a.pth", "a.keras", "a.h5", "a"):
        path = path.rename(folder / name)
        assert_weights(keras_resnet.load_weights(emptied(resnet20), str(path)), expected)


@pytest.mark.parametrize("kind", ["new.keras", "torch", "torch_legacy"])
def test_a_file_that_is_called_safetensors_is_taken_for_one(kind, resnet20, state, folder):
    write_small(kind, folder / "a.safetensors", resnet20, state)
    keras_resnet.load_weights(resnet20, folder / "a.safetensors")


def test_a_trained_networks_optimizer_is_taken_for_its_weights(folder):
    model = network("ResNet20V1", size=32, classes=10)
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    for file in ("a.keras", "b.h5"):
        model.save(folder / file)
        loaded = network("ResNet20V1", size=32, classes=10, weights=folder / file)
        assert_weights(loaded, model.get_weights())


def test_layers_without_names_are_taken_by_their_order(resnet20, folder):
    """Early Keras 3 wrote none."""
    resnet20.save_weights(folder / "a.weights.h5")
    with h5py.File(folder / "a.weights.h5", "a") as file:
        for group in file["layers"].values():
            group["vars"].attrs.clear()
    assert_refused(resnet20, folder / "a.weights.h5", "have no names")


# What does not fit


def test_a_mismatch_is_loaded_in_part_or_its_lists_are_not_whole(state, resnet20, tmp_path):
    wrong = dict(state)
    del wrong["layer2.1.conv2.weight"], wrong["layer3.2.bn1.running_var"]
    wrong["layer2.7.conv1.weight"] = np.zeros((32, 32, 3, 3), "float32")
    wrong["attention.weight"] = np.zeros((2, 2), "float32")
    wrong["layer3.0.conv1.weight"] = np.zeros((64, 32, 1, 1), "float32")
    wrong |= {f"layer1.{unit}.conv3.weight": np.zeros((16, 16, 1, 1), "float32") for unit in range(10)}
    save_file(wrong, tmp_path / "a.safetensors")
    error = assert_refused(
        resnet20, tmp_path / "a.safetensors", "does not fit resnet20v1: missing .*; unexpected .*; misshaped"
    )
    assert set(error.missing) == {"stage2_unit2_conv2/kernel", "stage3_unit3_norm1/moving_variance"}
    assert error.misshaped == ["stage3_unit1_conv1/kernel (1, 1, 32, 64) instead of (3, 3, 32, 64)"]
    assert len(error.unexpected) == 12
    assert {"attention.weight", "stage2_unit8_conv1/kernel", "stage1_unit10_conv3/kernel"} <= set(error.unexpected)
    for word in (
        "stage2_unit2_conv2/kernel",
        "stage3_unit3_norm1/moving_variance",
        *error.misshaped,
        "and 7 more",
        "ResNet20V1",
    ):
        assert word in str(error)
    assert "skip_head" not in str(error)
    assert isinstance(error, MismatchError)


def zeros(*shape):
    return np.zeros(shape, "float32")


@pytest.mark.parametrize(
    "wrong",
    [
        {"linear.weight": zeros(10, 32)},
        {"layer1.0.bn1.running_mean": zeros(1)},
        {"layer1.0.bn1.weight": zeros()},
        {"linear.bias": zeros(1, 10)},
        pytest.param({"layer1.0.conv1.weight": zeros(16, 16, 3)}),
        pytest.param({"layer1.0.conv1.weight": zeros(16, 16, 3, 3, 1)}),
        pytest.param({"linear.weight": zeros(10, 64, 2, 2)}),
        pytest.param({"conv1.bias": zeros(7)}),
        pytest.param({"conv1.bias": zeros(1)}),
        pytest.param({"conv1.bias": zeros(16), "bn1.running_mean": zeros(1)}),
        pytest.param({"fc.weight": zeros(10, 64), "fc.bias": zeros(10)}),
        pytest.param({"layer1.0.shortcut.0.weight": zeros(1), "layer1.0.downsample.0.weight": zeros(1)}),
    ],
    ids=lambda wrong: " ".join(f"{name} {array.shape}" for name, array in wrong.items()),
)
def test_a_tensor_of_another_shape_or_a_second_of_its_name_is_loaded(wrong, state, resnet20, tmp_path):
    save_file(state | wrong, tmp_path / "a.safetensors")
    assert_refused(resnet20, tmp_path / "a.safetensors", "does not fit resnet20v1", MismatchError)


def test_a_tensors_name_breaks_the_line_or_colors_the_terminal(state, resnet20, tmp_path):
    save_file(state | {"a\nb\x1b[1m": zeros(2)}, tmp_path / "a.safetensors")
    error = assert_refused(resnet20, tmp_path / "a.safetensors", "unexpected")
    assert str(error).isprintable()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["layer2.1.conv2.weight", "bn1.running_var", "linear.bias"])
def test_a_tensor_with_values_that_are_not_finite_is_loaded(name, value, state, resnet20, tmp_path):
    tensor = state[name].copy()
    tensor.flat[3] = value
    save_file(state | {name: tensor}, tmp_path / "a.safetensors")
    assert_refused(resnet20, tmp_path / "a.safetensors", "cannot be weights")
    if name == "linear.bias":
        keras_resnet.load_weights(network("ResNet20V1", size=32), tmp_path / "a.safetensors", skip_head=True)


@pytest.mark.parametrize("kept", [20, 300, 0.5, 0.95, -1])
@pytest.mark.parametrize("kind", ["legacy.h5", "new.weights.h5", "new.keras", "safetensors", "torch", "torch_legacy"])
def test_a_truncated_file_is_loaded_or_fails_at_length(kind, kept, resnet20, state, tmp_path):
    path = tmp_path / "a.bin"
    write_small(kind, path, resnet20, state)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    assert_refused(resnet20, path, "a.bin")


def a_text(path):
    path.write_text("weights\n" * 100)


def an_archive(path):
    with path.open("wb") as file:
        np.savez(file, kernel=np.zeros(3))


def another_h5(path):
    with h5py.File(path, "w") as file:
        file["kernel"] = np.zeros(3)


def another_keras_model(path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(path.with_name("b.keras"))
    path.with_name("b.keras").rename(path)


def a_pickle(path):
    path.write_bytes(pickle.dumps({"a": [1, 2]}))


def a_tar(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())


def a_safetensors_of_something_else(path):
    save_file({"attention.weight": np.zeros((2, 2), "float32")}, path)


def a_text_with_a_brace(path):
    path.write_text('settings{"a": 1}')


@pytest.mark.parametrize(
    "make",
    [
        Path.touch,
        Path.mkdir,
        lambda path: None,
        a_text,
        an_archive,
        another_h5,
        another_keras_model,
        a_pickle,
        a_tar,
        a_safetensors_of_something_else,
        a_text_with_a_brace,
    ],
    ids=["empty", "directory", "missing", "text", "npz", "h5", "keras", "pickle", "tar", "safetensors", "text_with_a_brace"],
)
def test_what_is_no_weight_file_fails_at_length(make, resnet20, tmp_path):
    if make in (a_pickle, a_tar):
        pytest.importorskip("torch")
    make(tmp_path / "a.bin")
    assert_refused(resnet20, tmp_path / "a.bin", "a.bin")


def test_a_network_of_another_make_fails_at_length(akamaster):
    inputs = keras.Input((2,))
    with pytest.raises(UserError, match="not a network of this zoo"):
        keras_resnet.load_weights(keras.Model(inputs, keras.layers.Dense(2)(inputs)), akamaster)


@pytest.mark.parametrize("kind", ["torch", "torch_legacy"])
def test_a_missing_torch_is_said_at_length(kind, resnet20, state, tmp_path, monkeypatch):
    write_small(kind, tmp_path / "a.bin", resnet20, state)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert_refused(resnet20, tmp_path / "a.bin", r"pip install keras-resnet-zoo\[torch\]")


# What fits by its shapes only


@pytest.fixture(scope="module")
def torchvision50(tmp_path_factory):
    """torchvision's ResNet-50, whose stride is on the 3x3."""
    yield from file_of_zeros("resnet50", tmp_path_factory)


@pytest.fixture(scope="module")
def torchvision18(tmp_path_factory):
    yield from file_of_zeros("resnet18", tmp_path_factory)


@pytest.fixture(scope="module")
def timm50(tmp_path_factory):
    yield from file_of_zeros("resnetv2_50", tmp_path_factory)


def file_of_zeros(name, tmp_path_factory):
    path = tmp_path_factory.mktemp(name) / f"{name}.safetensors"
    save_file({key: np.zeros(shape, "float32") for key, shape in reference(name).shapes.items()}, path)
    yield path
    path.unlink()


ANOTHER_FUNCTION = [
    ("torchvision50", {"name": "ResNet50V1"}, "stride on the 1x1"),
    ("keras50", {"name": "ResNet50V1_5"}, "stride on the 3x3"),
    ("keras50", {"name": "ResNet50V1", "unit": "relu_before_addition"}, "relu_before_addition"),
    ("torchvision18", {"name": "ResNet18V1", "unit": "bn_after_addition"}, "bn_after_addition"),
    ("torchvision18", {"name": "PlainNet18"}, "shortcuts"),
    ("akamaster", {"name": "ResNet20V1", "unit": "relu_before_addition"}, "relu_before_addition"),
    ("akamaster", {"name": "PlainNet20"}, "shortcuts"),
    ("akamaster", {"name": "ResNet20V1", "shortcut": "dropout"}, "shortcuts"),
    ("akamaster", {"name": "ResNet20V1", "shortcut": "constant_scaling"}, "shortcuts"),
    ("akamaster", {"name": "ResNet20V1", "shortcut": "exclusive_gating"}, "shortcuts"),
]


@pytest.mark.parametrize(("file", "arguments", "message"), ANOTHER_FUNCTION)
def test_a_network_that_computes_something_else_takes_the_weights(file, arguments, message, request, files, ours):
    """Without a top, for which every file has enough."""
    path = files("ResNet50") if file == "keras50" else request.getfixturevalue(file)
    assert_refused(ours(**arguments, include_top=False), path, f" has .*{message}.*; such weights fit ")


THIN = {"width_multiplier": 0.1}


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ({"name": "ResNet50V1", **THIN}, {"name": "ResNet50V1_5", **THIN}, "stride_on"),
        ({"name": "ResNet50V1_5", **THIN}, {"name": "ResNet50V1", **THIN}, "stride_on"),
        ({"name": "ResNet20V1"}, {"name": "PlainNet20"}, "shortcut"),
        ({"name": "PlainNet20"}, {"name": "ResNet20V1"}, "shortcut"),
        ({"name": "ResNet20V1"}, {"name": "ResNet20V1", "unit": "relu_before_addition"}, "order"),
        ({"name": "ResNet20V1"}, {"name": "ResNet20V1", "shortcut": "dropout"}, "shortcut"),
        ({"name": "ResNet20V1"}, {"name": "ResNet20V1", "shortcut": "constant_scaling"}, "shortcut"),
        (
            {"name": "ResNet20V1", "shortcut": "exclusive_gating"},
            {"name": "ResNet20V1", "shortcut": "shortcut_only_gating"},
            "shortcut",
        ),
        pytest.param(
            {"name": "ResNet20V1", "shortcut": "constant_scaling(0.5,0.5)"},
            {"name": "ResNet20V1", "shortcut": "constant_scaling(0.3,0.7)"},
            "shortcut",
        ),
    ],
)
def test_a_network_of_ours_that_computes_something_else_takes_a_keras_files_weights(one, other, field, ours, folder):
    model = ours(**one, size=32)
    model.save(folder / "a.keras")
    keras_resnet.load_weights(model, folder / "a.keras")
    assert_refused(ours(**other, size=32), folder / "a.keras", f"{field} is .* there, .* here")


# PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def tensors(torch, state):
    return {name: torch.from_numpy(array.copy()) for name, array in state.items()}


def prefixed(prefix):
    return lambda torch, tensors: {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def averaged(tensors):
    return {name: tensor * 2 for name, tensor in tensors.items()}


def optimizer_beside(torch, tensors):
    """As training programs leave it, momentum and all. (Making a torch.optim optimizer imports Triton, whose LLVM ends a
    process that has TensorFlow's in it.)"""
    group = {"lr": 0.1, "momentum": 0.9, "nesterov": False, "maximize": False, "foreach": None, "params": [0]}
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(2, 2)}}, "param_groups": [group]}
    arguments = argparse.Namespace(arch="resnet20", lr=0.1, resume="", milestones=[100, 150], seed=None)
    return {"optimizer": optimizer, "epoch": 199, "args": arguments, "amp": None, "state_dict": tensors}


WRAPPERS = {
    "bare": lambda torch, tensors: tensors,
    "module": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "compiled module": prefixed("_orig_mod.module."),
    "module compiled": prefixed("module._orig_mod."),
    "lightning": lambda torch, tensors: {"state_dict": prefixed("model.")(torch, tensors), "epoch": 1, "global_step": 10},
    "state_dict": lambda torch, tensors: {"state_dict": tensors},
    "model": lambda torch, tensors: {"model": prefixed("module.")(torch, tensors)},
    "nested": lambda torch, tensors: {"model": {"state_dict": tensors}, "epoch": 3},
    "optimizer": optimizer_beside,
    "accuracy": lambda torch, tensors: {"state_dict": tensors, "best_prec1": torch.tensor(91.7)},
    "numpy float64": lambda torch, tensors: {"state_dict": tensors, "best": np.float64(91.7)},
    "parameters": lambda torch, tensors: {name: torch.nn.Parameter(t, requires_grad=t.ndim > 0) for name, t in tensors.items()},
    "ordered": lambda torch, tensors: collections.OrderedDict(tensors),
    "ema after": lambda torch, tensors: {"state_dict": tensors, "state_dict_ema": averaged(tensors)},
    "ema before": lambda torch, tensors: {"state_dict_ema": averaged(tensors), "state_dict": tensors},
    "ema of a model": lambda torch, tensors: {"model_ema": averaged(tensors), "ema": averaged(tensors), "model": tensors},
    "ema alone": lambda torch, tensors: {"model_ema": tensors, "epoch": 3},
}


@pytest.mark.parametrize(("wrapper", "write"), [*((key, torch_zip) for key in WRAPPERS), ("optimizer", torch_legacy)])
def test_a_state_dict_is_not_found_in_what_is_around_it(wrapper, write, torch, tensors, akamaster_weights, resnet20, tmp_path):
    write(torch, WRAPPERS[wrapper](torch, tensors), tmp_path / "a.pth")
    assert_weights(keras_resnet.load_weights(emptied(resnet20), tmp_path / "a.pth"), akamaster_weights)


@pytest.mark.parametrize(
    "value",
    [
        np.float64(91.7),
        np.float32(91.7),
        np.int64(7),
        np.bool_(True),
        np.zeros(3),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}",
)
def test_a_number_of_numpys_keeps_a_file_from_loading(value, torch, tensors, akamaster_weights, resnet20, tmp_path):
    torch.save({"state_dict": tensors, "best": value}, tmp_path / "a.pth")
    assert_weights(keras_resnet.load_weights(emptied(resnet20), tmp_path / "a.pth"), akamaster_weights)


def test_a_number_of_numpy_1_keeps_a_file_from_loading(torch, tensors, akamaster_weights, resnet20, tmp_path):
    """NumPy 2 has renamed the module that every such pickle names."""
    torch_legacy(torch, {"state_dict": tensors, "best": np.float64(91.7)}, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    assert b"cnumpy._core.multiarray\n" in content
    (tmp_path / "a.pth").write_bytes(content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert_weights(keras_resnet.load_weights(emptied(resnet20), tmp_path / "a.pth"), akamaster_weights)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_half_precision_is_misread(kind, dtype, torch, tensors, akamaster_weights, resnet20, tmp_path):
    half = {name: tensor.to(getattr(torch, dtype)) if tensor.ndim else tensor for name, tensor in tensors.items()}
    path = tmp_path / f"a.{kind}"
    if kind == "pth":
        torch.save(half, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(half, path)
    rounded = [torch.from_numpy(weight).to(getattr(torch, dtype)).float().numpy() for weight in akamaster_weights]
    assert_weights(keras_resnet.load_weights(emptied(resnet20), path), rounded)


def test_tensors_that_are_not_in_rows_are_misread(torch, tensors, akamaster_weights, resnet20, tmp_path):
    """Such as a network in channels_last leaves them."""
    strided = {n: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for n, t in tensors.items()}
    assert any(not tensor.is_contiguous() for tensor in strided.values())
    torch.save(strided, tmp_path / "a.pth")
    assert_weights(keras_resnet.load_weights(emptied(resnet20), tmp_path / "a.pth"), akamaster_weights)


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def plain_pickle(torch, content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


WRAPS = (
    lambda evil, tensors: evil,
    lambda evil, tensors: {"state_dict": tensors, "config": evil},
    lambda evil, tensors: {"state_dict": tensors, "losses": np.array([evil, evil], dtype=object)},
)


@pytest.mark.parametrize("write", [torch_zip, torch_legacy, plain_pickle])
@pytest.mark.parametrize("wrap", WRAPS, ids=["bare", "beside", "in an array"])
def test_a_malicious_pickle_is_executed(write, wrap, torch, tensors, resnet20, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "a.pth"
    write(torch, wrap(Malicious(marker), tensors if write is not plain_pickle else {}), path)
    assert_refused(resnet20, path, "a.pth")
    assert not marker.exists()
    pickle.loads(pickle.dumps(Malicious(marker)))
    assert marker.exists()  # it would have been


@pytest.mark.parametrize("write", [torch_zip, torch_legacy])
def test_the_message_about_a_malicious_pickle_advises_to_run_it(write, torch, tensors, resnet20, tmp_path):
    write(torch, {"state_dict": tensors, "config": Malicious(tmp_path / "marker")}, tmp_path / "a.pth")
    message = str(assert_refused(resnet20, tmp_path / "a.pth", "a.pth"))
    assert message.isprintable()
    assert "weights_only" not in message
    assert "trust" not in message


def test_a_lambda_in_a_keras_file_is_executed(resnet20, folder):
    """Its configuration is read as data."""
    x = keras.layers.Lambda(lambda x: x + 1)(resnet20.output)
    keras.Model(resnet20.input, x).save(folder / "a.keras")
    assert_weights(network("ResNet20V1", size=32, classes=10, weights=folder / "a.keras"), resnet20.get_weights())


# A file from the world outside


@pytest.fixture(scope="module")
def published(torch):
    path = SHARED / "resnet20-cifar10-12fca82f.th"
    if not path.is_file():
        pytest.skip("akamaster's published file is not in shared/data")
    return network("ResNet20V1", size=32, classes=10, classifier_activation="softmax", weights=path)


@pytest.fixture(scope="module")
def cifar10_test():
    """The 10,000 test images as their files are read, and their classes."""
    path = SHARED / "cifar10_jpeg.tar.xz"
    if not path.is_file():
        pytest.skip("the CIFAR-10 images are not in shared/data")
    files, classes = [], []
    with tarfile.open(path, "r|xz") as archive:
        for member in archive:
            if member.isfile() and member.name.startswith("test/"):
                files.append(archive.extractfile(member).read())
                classes.append(member.name.split("/")[1])
    return files, np.array(classes)


def test_the_published_file_is_not_recognized(published):
    assert keras_resnet.preprocessing_for(published) == PREPROCESSING_PRESETS["akamaster_cifar10"]


@pytest.mark.slow
@pytest.mark.parametrize(("decoder", "right"), [("TensorFlow", 8118), ("Pillow", 8103)])
def test_the_published_network_is_not_as_good_as_pytorch_finds_it(decoder, right, published, cifar10_test, tmp_path):
    """TensorFlow decodes them with a faster cosine transform. With Pillow's pixels, PyTorch itself has 8,103 right."""
    files, classes = cifar10_test
    names = np.array(sorted(set(classes)))
    assert len(classes) == 10000
    preprocessing = keras_resnet.preprocessing_for(published)
    if decoder == "TensorFlow":
        images = np.stack([tf.io.decode_jpeg(content, channels=3).numpy() for content in files])
        keras_resnet.save_classifier(published, tmp_path / "a.keras", labels=names)
        probabilities = keras.saving.load_model(tmp_path / "a.keras").predict(images, batch_size=500, verbose=0)
    else:
        images = np.stack([preprocessing.load_image(io.BytesIO(content)) for content in files])
        probabilities = published.predict(preprocessing.normalize(images), batch_size=500, verbose=0)
    assert (names[probabilities.argmax(axis=1)] == classes).sum() == right


# weights="imagenet"


@pytest.fixture
def asked(files, monkeypatch):
    """What `keras.utils.get_file` was asked for; it gives files with the layout of the published ones, and few classes."""
    calls = []

    def get_file(fname, origin, **arguments):
        calls.append((fname, origin, arguments))
        name = {"resnet50": "ResNet50", "resnet50v2": "ResNet50V2"}.get(fname.partition("_")[0])
        if name is None:
            raise OSError("no such file")
        return str(files(name, "notop" not in fname))

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    return calls


@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize("name", ["ResNet50", "ResNet50V2"])
def test_imagenet_stands_for_another_file(name, include_top, asked, outputs, ours):
    model = keras_resnet.load_weights(emptied(ours(FITS[name], include_top)), "imagenet")
    [(fname, origin, arguments)] = asked
    assert fname == f"{name.lower()}_weights_tf_dim_ordering_tf_kernels{'' if include_top else '_notop'}.h5"
    assert origin == f"https://storage.googleapis.com/tensorflow/keras-applications/resnet/{fname}"
    assert arguments["cache_subdir"] == "models"
    assert arguments["file_hash"] == WEIGHTS_HASHES[name.lower()][0 if include_top else 1]
    assert_outputs(model, outputs(name, include_top))
    assert keras_resnet.preprocessing_for(model) == PREPROCESSING_PRESETS[f"keras_applications_v{2 if 'V2' in name else 1}"]


def test_a_published_files_hash_is_wrong():
    assert {name: WEIGHTS_HASHES[name] for name in applications.FILES} == applications.FILES


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "ResNet50V2"},
        {"name": "ResNet50V1_5"},
        {"name": "ResNet20V1", "size": 32},
        {"name": "ResNet18V1"},
        {"name": "ResNet50V1", "unit": "relu_before_addition"},
        {"name": "ResNet34V1"},
        {"name": "ResNet50V1", "shortcut": "A"},
        {"name": "ResNet50V1", "width_multiplier": 0.5},
    ],
    ids=lambda arguments: "-".join(map(str, arguments.values())),
)
def test_a_network_without_published_weights_fetches_some(arguments, asked, ours):
    assert_refused(ours(**arguments, include_top=False), "imagenet", f"has them for {', '.join(FITS.values())}$")
    assert not asked


def test_no_network_is_said_at_length(ours, tmp_path, monkeypatch):
    monkeypatch.setattr(applications, "URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(keras.utils, "get_file", functools.partial(keras.utils.get_file, cache_dir=tmp_path))
    assert_refused(
        ours("ResNet50V1", False), "imagenet", r"resnet50_.*_notop\.h5 cannot be downloaded from http://127.*pass its path"
    )


# Preprocessing


def test_preprocessing_is_that_of_another_format(akamaster, torchvision18, timm50, files, ours):
    def of(model, path):
        return keras_resnet.preprocessing_for(keras_resnet.load_weights(model, path))

    assert of(network("ResNet20V1", size=32, classes=10), akamaster) == PREPROCESSING_PRESETS["akamaster_cifar10"]
    assert of(ours("ResNet18V1", False), torchvision18) == PREPROCESSING_PRESETS["torchvision_v1"]
    assert of(ours("ResNet50V1"), files("ResNet50")) == PREPROCESSING_PRESETS["keras_applications_v1"]
    assert of(ours("ResNet50V2Slim"), files("ResNet50V2")) == PREPROCESSING_PRESETS["keras_applications_v2"]
    assert of(ours("ResNet50V2Timm", False), timm50) == PREPROCESSING_PRESETS["timm_v2_a1h"]


def test_torchvisions_second_weights_are_prepared_as_its_first(torchvision18, ours, monkeypatch):
    digest = hashlib.sha256(torchvision18.read_bytes()).hexdigest()
    monkeypatch.setattr(file_records, "TORCHVISION_V2", ("00000000", digest[:8]))
    model = keras_resnet.load_weights(ours("ResNet18V1", False), torchvision18)
    assert keras_resnet.preprocessing_for(model) == PREPROCESSING_PRESETS["torchvision_v2"]
    assert PREPROCESSING_PRESETS["torchvision_v2"].crop_fraction == 224 / 232


TIMM = {  # as in Hugging Face's copy of timm's resnet50.a1_in1k
    "architecture": "resnet18",
    "num_classes": 1000,
    "pretrained_cfg": {
        "input_size": [3, 224, 224],
        "test_input_size": [3, 288, 256],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "test_crop_pct": 1.0,
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.25, 0.5],
    },
}
TRAIN_ONLY = {key: value for key, value in TIMM["pretrained_cfg"].items() if not key.startswith("test_")}
TIMM_RECORD = Preprocessing(288, 256, 3, (0.5, 0.4, 0.3), (0.2, 0.25, 0.5), 1.0, "bicubic")
TRAIN_RECORD = dataclasses.replace(TIMM_RECORD, height=224, width=224, crop_fraction=0.95)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(TIMM), TIMM_RECORD),
        (json.dumps({"pretrained_cfg": TRAIN_ONLY}), TRAIN_RECORD),
        (json.dumps({"pretrained_cfg": TRAIN_ONLY | {"test_input_size": None, "test_crop_pct": None}}), TRAIN_RECORD),
        (json.dumps({"model_type": "bert"}), None),
        ("[1, 2]", None),
        ("no json", None),
        ('{"pretrained_cfg": {"input_size": [3]}}', None),
    ],
)
def test_timms_record_beside_the_file_is_passed_over(text, expected, tmp_path):
    (tmp_path / "config.json").write_text(text)
    assert file_records.timm_record(tmp_path / "model.safetensors") == expected


def test_timms_record_is_taken_for_that_of_another_format(state, resnet20, tmp_path):
    save_file(state, tmp_path / "model.safetensors")
    record = {"input_size": [3, 64, 64], "mean": HALF, "std": HALF, "crop_pct": 1.0, "interpolation": "bilinear"}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": record}))
    keras_resnet.load_weights(resnet20, tmp_path / "model.safetensors")
    assert keras_resnet.preprocessing_for(resnet20) == PREPROCESSING_PRESETS["akamaster_cifar10"]


@pytest.mark.parametrize("preset", PREPROCESSING_PRESETS)
def test_a_preset_is_not_found_by_its_name(preset):
    assert keras_resnet.preprocessing_for(preset) is PREPROCESSING_PRESETS[preset]


def test_an_unknown_preset_does_not_list_the_known_ones(resnet20, tmp_path):
    resnet20.save_weights(tmp_path / "a.weights.h5")
    own = network("ResNet20V1", size=32, classes=10, weights=tmp_path / "a.weights.h5")
    for unknown in ("torchvision", "", network("ResNet20V1", size=32), own):
        with pytest.raises(UserError) as caught:
            keras_resnet.preprocessing_for(unknown)
        assert "\n" not in str(caught.value)
        for preset in PREPROCESSING_PRESETS:
            assert preset in str(caught.value)


def test_the_preparation_of_earlier_weights_outlives_them(akamaster, tmp_path):
    model = network("ResNet20V1", size=32, classes=10)
    model.save_weights(tmp_path / "a.weights.h5")
    keras_resnet.load_weights(model, akamaster)
    assert_refused(model, tmp_path / "missing", "no weights")
    assert keras_resnet.preprocessing_for(model) == PREPROCESSING_PRESETS["akamaster_cifar10"]  # as are the weights
    keras_resnet.load_weights(model, tmp_path / "a.weights.h5")
    with pytest.raises(UserError, match="no weights of known preprocessing"):
        keras_resnet.preprocessing_for(model)


@pytest.mark.parametrize(
    ("preset", "preprocess"),
    [
        ("keras_applications_v1", keras.applications.resnet.preprocess_input),
        ("keras_applications_v2", keras.applications.resnet_v2.preprocess_input),
    ],
)
def test_pixels_are_not_prepared_as_keras_applications_does(preset, preprocess, rng):
    pixels = rng.integers(0, 256, (2, 5, 6, 3))
    expected = preprocess(pixels.astype("float32"))
    np.testing.assert_allclose(keras_resnet.preprocessing_for(preset).normalize(pixels), expected, rtol=0, atol=1e-4)


def test_torchvisions_crop_is_of_another_size():
    """Resize to 256 or 232, then crop 224."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype("uint8"))
    for preset, side in (("torchvision_v1", 256), ("torchvision_v2", 232)):
        resized = image.resize((side * 400 // 300, side), Image.Resampling.BILINEAR)
        left, top = round((resized.width - 224) / 2), round((side - 224) / 2)
        cropped = np.asarray(resized.crop((left, top, left + 224, top + 224)))
        np.testing.assert_array_equal(keras_resnet.preprocessing_for(preset).resize_and_crop(image), cropped)
