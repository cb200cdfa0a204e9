"""Catches weights of another network with the same tensors, which computes something else, and files that lie."""

import dataclasses
import functools
import json

import keras
import numpy as np
import pytest
import zoo_files
from safetensors.numpy import save_file
from test_weights import assert_refused, assert_weights

import keras_resnet
from keras_resnet import UserError
from keras_resnet.weights.availability import check_available
from keras_resnet.weights.checkpoint_formats import CHECKPOINT_FORMATS
from keras_resnet.weights.claims import SILENT, as_configured, check_claims
from keras_resnet.weights.matching import MismatchError, check_structure
from keras_resnet.weights.structure import Structure

THIN = {"width_multiplier": 0.125, "classes": 3, "input_shape": (32, 32, 3)}


@functools.cache
def thin(name, **arguments):
    """A narrow network of a row, built once."""
    return getattr(keras_resnet, name)(**(THIN | arguments))


def torch_names(model):
    """The weights of a network of our v1 in the layout of timm's `resnet.py`."""
    projection = Structure.of_model(model).projection
    deep = any(layer.name == "stem_conv3" for layer in model.layers)
    stem = {"stem_conv": "conv1.0", "stem_norm": "conv1.1", "stem_conv2": "conv1.3", "stem_norm2": "conv1.4",
            "stem_conv3": "conv1.6", "stem_norm3": "bn1"} if deep else {"stem_conv": "conv1", "stem_norm": "bn1"}  # fmt: skip
    first = 1 if projection == "avg_pool" else 0
    variables = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
    variables |= {"moving_variance": "running_var", "bias": "bias"}
    tensors = {}
    for layer in model.layers:
        for weight in layer.weights:
            name = stem.get(layer.name) or {"head_dense": "fc"}.get(layer.name)
            if name is None:
                stage, unit, operation = layer.name.split("_", 2)
                operation = operation.replace("norm", "bn") if operation.startswith("norm") else operation
                operation = {"shortcut_conv": f"downsample.{first}", "shortcut_norm": f"downsample.{first + 1}"}.get(
                    operation, operation
                )
                name = f"layer{stage[5:]}.{int(unit[4:]) - 1}.{operation}"
            value = np.array(weight)
            axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim)
            tensors[f"{name}.{variables[weight.name]}"] = np.ascontiguousarray(value.transpose(axes) if axes else value)
    return tensors


@pytest.fixture(scope="module")
def plain():
    """timm's resnet50, narrow."""
    return torch_names(thin("ResNet50V1_5"))


def config(folder, **settings):
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("says", ["config", "name", "cache"])
@pytest.mark.parametrize(
    ("architecture", "model_name", "fits"),
    [
        ("resnetaa50", "ResNet50V1_5", "ResNetAA50"),
        ("resnetblur50", "ResNet50V1_5", "ResNetBlur50"),
        ("resnet50", "ResNetAA50", "ResNet50V1_5"),
        ("resnet50", "ResNetBlur50", "ResNet50V1_5"),
        ("resnetaa50", "ResNetBlur50", "ResNetAA50"),
    ],
)
def test_a_network_of_the_same_tensors_takes_the_weights(architecture, model_name, fits, says, plain, tmp_path):
    folder = tmp_path / (f"models--timm--{architecture}.a1_in1k" if says == "cache" else "a")
    folder.mkdir()
    path = folder / (f"{architecture}_a1h-0123abcd.safetensors" if says == "name" else "model.safetensors")
    save_file(plain, path)
    if says == "config":
        config(folder, architecture=architecture)
    error = assert_refused(thin(model_name), path, f"weights of {architecture} by .*, which fit {fits}; .*antialias")
    assert model_name.lower() in str(error)
    right = thin(fits)
    assert keras_resnet.load_weights(right, path) is right


def test_the_model_that_was_chosen_does_not_count_where_nothing_else_tells(plain, tmp_path):
    save_file(plain, tmp_path / "model.safetensors")
    for model_name in ("ResNet50V1_5", "ResNetAA50", "ResNetBlur50"):
        keras_resnet.load_weights(thin(model_name), tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["resnet18.safetensors", "seresnet152d.ra2.safetensors", "resnet-50.pth", "resnets.bin"])
def test_a_misnamed_file_is_known_by_its_name(name, plain, tmp_path):
    """Not of the same tensors: its content tells that the name is wrong."""
    save_file(plain, tmp_path / name)
    keras_resnet.load_weights(thin("ResNet50V1_5"), tmp_path / name)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [("resnet101", "depths"), ("resnet50d", "projection"), ("seresnet50", "attention"), ("resnet18", "block")],
)
def test_a_configuration_that_lies_is_believed_or_passed_over(architecture, message, plain, tmp_path):
    save_file(plain, tmp_path / "model.safetensors")
    config(tmp_path, architecture=architecture)
    assert_refused(thin("ResNet50V1_5"), tmp_path / "model.safetensors", f"{architecture} by the config.json .*{message}")


def test_a_configuration_of_a_refused_architecture_is_passed_over(plain, tmp_path):
    save_file(plain, tmp_path / "model.safetensors")
    config(tmp_path, architecture="ecaresnet50d_pruned")
    assert_refused(thin("ResNet50V1_5"), tmp_path / "model.safetensors", "not a network of this zoo: its widths were pruned")


@pytest.mark.parametrize("settings", [{"architecture": "resnet50_clip"}, {"architecture": 3}, {"model_type": "bert"}, {}])
def test_a_configuration_of_something_else_keeps_weights_from_loading(settings, plain, tmp_path):
    save_file(plain, tmp_path / "model.safetensors")
    config(tmp_path, **settings)
    keras_resnet.load_weights(thin("ResNet50V1_5"), tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("model_name", "wrong", "message"),
    [
        ("ResNet50D", "ResNet50C", "projections of the kind 1x1, not avg_pool"),
        ("ResNet50C", "ResNet50D", "projections of the kind avg_pool, not 1x1"),
        ("ResNet50V1_5", "ResNet50V1", "stride on the 1x1"),
        ("ResNet50V1_5", "ResNet50V1TFSlim", "stride in the last unit"),
        ("ResNet50V1_5", "ResNet50Garden", "other pixels at the edges"),
        ("ResNet50V1_5", "ResNet50Garden2019", "other pixels at the edges"),
    ],
)
def test_a_network_of_other_strides_or_edges_takes_the_weights(model_name, wrong, message, tmp_path):
    save_file(torch_names(thin(model_name)), tmp_path / "a.safetensors")
    keras_resnet.load_weights(thin(model_name), tmp_path / "a.safetensors")
    assert_refused(thin(wrong), tmp_path / "a.safetensors", f"ResNet weights, but .* has .*{message}")


def test_an_antialiased_network_whose_other_convolution_had_the_stride_takes_the_weights(plain, tmp_path):
    save_file(plain, tmp_path / "a.safetensors")
    assert_refused(thin("ResNet50V1", antialias="avg"), tmp_path / "a.safetensors", "stride on the 1x1")


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ("ResNet50V1_5", "ResNetAA50", "antialias"),
        ("ResNetAA50", "ResNetBlur50", "antialias"),
        ("ResNet50C", "ResNet50D", "projection"),
        ("ResNet50V1_5", "ResNet50Garden", "pool"),
        ("ResNet50Garden", "ResNet50Garden2019", "padding"),
        ("ResNet50V1_5", "ResNet50V1TFSlim", "pool"),
    ],
)
def test_a_keras_file_of_another_network_with_the_same_tensors_is_loaded(one, other, field, tmp_path):
    thin(one).save(tmp_path / "a.keras")
    keras_resnet.load_weights(thin(one), tmp_path / "a.keras")
    assert_refused(thin(other), tmp_path / "a.keras", f"{field} is .* there, .* here")


def test_what_a_row_tells_is_not_what_its_network_has():
    """Otherwise its own weights would be refused, by their own configuration."""
    for name in ("ResNet18V1", "ResNetAA50", "ResNet50D", "ECAResNet26T", "ResNetRS50", "ResNet50GN", "ResNet18DV2Timm"):
        structure = Structure.of_model(thin(name))
        expected = Structure.expected(keras_resnet.models.variants.get_variant(name))
        assert not structure.differences(expected), name
        assert expected.keys() >= SILENT


# transformers


@pytest.fixture(scope="module")
def transformers(tmp_path_factory):
    """Its ResNet-18, as it writes it."""
    folder = tmp_path_factory.mktemp("transformers")
    yield zoo_files.write_safetensors("transformers-resnet-18", folder / "model.safetensors")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"downsample_in_first_stage": True}, "downsample_in_first_stage true by the config.json .*it is false"),
        ({"hidden_act": "gelu"}, "hidden_act .gelu. by .*it is .relu."),
    ],
)
def test_a_resnet_of_transformers_with_another_setting_is_loaded(settings, message, transformers):
    config(transformers.parent, model_type="resnet", **settings)
    assert_refused(zoo_files.network("ResNet18V1"), transformers, message)
    config(transformers.parent, model_type="resnet", hidden_act="relu", layer_type="basic", downsample_in_bottleneck=True)
    keras_resnet.load_weights(zoo_files.network("ResNet18V1"), transformers)


@pytest.mark.parametrize(("in_bottleneck", "stride_on"), [(True, "1x1"), (False, "3x3")])
def test_transformers_stride_on_the_1x1_is_passed_over(in_bottleneck, stride_on, tmp_path):
    [known] = [each for each in CHECKPOINT_FORMATS if each.name == "transformers ResNet"]
    config(tmp_path, model_type="resnet", downsample_in_bottleneck=in_bottleneck, layer_type="bottleneck")
    assert as_configured(str(tmp_path / "model.safetensors"), known).stride_on == stride_on


# The first convolution


@pytest.fixture(scope="module")
def rgb(tmp_path_factory):
    """A file for RGB images, and its first kernel."""
    model = thin("ResNet18V1")
    path = tmp_path_factory.mktemp("rgb") / "a.safetensors"
    save_file(torch_names(model), path)
    return path, np.array(model.get_layer("stem_conv").kernel), model


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_a_first_kernel_is_adapted_unasked(channels, rgb):
    model = thin("ResNet18V1", input_shape=(32, 32, channels))
    error = assert_refused(model, rgb[0], r"instead of .*; load_weights\(\.\.\., adapt_channels=True\)", MismatchError)
    assert len(error.misshaped) == 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_a_first_kernel_is_not_adapted_as_timm_does(channels, rgb):
    path, kernel, original = rgb
    model = thin("ResNet18V1", input_shape=(32, 32, channels))
    assert keras_resnet.load_weights(model, path, adapt_channels=True) is model
    ours = np.array(model.get_layer("stem_conv").kernel)
    if channels == 1:
        np.testing.assert_allclose(ours, kernel.sum(axis=2, keepdims=True), rtol=0, atol=1e-6)
    else:
        for channel in range(channels):
            expected = kernel[:, :, channel % 3] * (3 / channels if channels != 3 else 1)
            np.testing.assert_allclose(ours[:, :, channel], expected, rtol=1e-6)
    rest = [np.array(weight) for layer in original.layers for weight in layer.weights if layer.name != "stem_conv"]
    found = [np.array(weight) for layer in model.layers for weight in layer.weights if layer.name != "stem_conv"]
    for one, other in zip(rest, found, strict=True):
        np.testing.assert_array_equal(one, other)
    preprocessing = keras_resnet.preprocessing_for(model)
    assert preprocessing.channels == channels == len(preprocessing.mean) == len(preprocessing.std)
    if channels != 3:
        assert preprocessing.mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,) * channels)


def test_a_gray_image_is_not_what_its_three_copies_are(rgb):
    path, _, original = rgb
    model = keras_resnet.load_weights(thin("ResNet18V1", input_shape=(32, 32, 1)), path, adapt_channels=True)
    gray = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    np.testing.assert_allclose(model(gray), original(np.repeat(gray, 3, axis=-1)), rtol=1e-4, atol=1e-5)


def test_a_kernel_for_gray_images_is_repeated_by_no_rule(tmp_path):
    save_file(torch_names(thin("ResNet18V1", input_shape=(32, 32, 1))), tmp_path / "a.safetensors")
    assert_refused(thin("ResNet18V1"), tmp_path / "a.safetensors", "is for images of 1 channels", adapt_channels=True)


# The head


@pytest.mark.parametrize(
    "head",
    [
        {"fc.1.weight": (5, 64), "fc.1.bias": (5,)},
        {"fc.0.weight": (8, 64), "fc.3.weight": (5, 8)},
        {"projector.0.weight": (8, 64), "projector.1.running_mean": (8,)},
        {"attnpool.positional_embedding": (50, 64), "attnpool.c_proj.weight": (5, 64)},
        {"pool.p": (1,)},
    ],
    ids=lambda head: " ".join(head),
)
@pytest.mark.parametrize("model_name", ["ResNet18V1", "ResNet18D"])
def test_skip_head_does_not_leave_whatever_head_there_is(model_name, head, tmp_path):
    original = thin(model_name)
    tensors = {key: value for key, value in torch_names(original).items() if not key.startswith("fc.")}
    save_file(tensors | {key: np.ones(shape, "float32") for key, shape in head.items()}, tmp_path / "a.safetensors")
    model = thin(model_name, classes=7)
    assert_refused(model, tmp_path / "a.safetensors", "skip_head=True", MismatchError)
    keras_resnet.load_weights(model, tmp_path / "a.safetensors", skip_head=True)
    assert_weights(keras.Model(model.input, model.layers[-4].output), original.get_weights()[:-2])


def test_claims_of_a_cifar_network_are_believed(tmp_path):
    """Names such as resnet18 are of other networks there."""
    [known] = [each for each in CHECKPOINT_FORMATS if each.name == "akamaster CIFAR ResNet"]
    structure = Structure.of_model(keras_resnet.ResNet20V1())
    check_claims(str(tmp_path / "resnet18.pth"), known, structure, "resnet20v1")
    torchvision = dataclasses.replace(structure, order="original")
    [known] = [each for each in CHECKPOINT_FORMATS if each.name == "torchvision or timm ResNet"]
    config(tmp_path, architecture="resnet18")
    with pytest.raises(UserError, match="resnet18 by the config"):
        check_claims(str(tmp_path / "a.pth"), known, torchvision, "resnet20v1")


@pytest.mark.parametrize("antialias", ["blur", "avg"])
@pytest.mark.parametrize("known", [f for f in CHECKPOINT_FORMATS if f.order and "timm" not in f.name], ids=lambda f: f.name)
def test_weights_of_libraries_without_such_filters_fit_no_network_that_has_one(known, antialias):
    """transformers' ResNet-50 once loaded into ResNetBlur50 without a word."""
    structure = dataclasses.replace(Structure.of_model(thin("ResNet50V1_5")), antialias=antialias, pool="filter")
    with pytest.raises(UserError, match=f"the antialias filter {antialias}"):
        check_structure(known, structure, "blurred", "weights.safetensors")


def test_a_configuration_fits_the_network_that_the_arguments_make(plain, tmp_path):
    """`--model=ResNet50V1_5 --antialias=blur` is the network of timm's resnetblur50, and no longer that of its resnet50."""
    save_file(plain, tmp_path / "model.safetensors")
    for architecture, antialias in (("resnetblur50", "blur"), ("resnet50", None)):
        config(tmp_path, architecture=architecture, num_classes=3)
        check_available(str(tmp_path), "ResNet50V1_5", antialias=antialias)
    with pytest.raises(UserError, match=r"its config\.json says resnet50, which is ResNet50V1_5"):
        check_available(str(tmp_path), "ResNet50V1_5", antialias="blur")
