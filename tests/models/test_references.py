"""Catches a network or an importer that computes something else than the PyTorch original with the same weights."""

import json
import runpy
import types

import numpy as np
import pytest
from conftest import ROOT
from safetensors.numpy import save_file

import keras_resnet
from keras_resnet.weights import matching
from keras_resnet.weights.checkpoint_formats import BARE_PROJECTION, CheckpointFormat
from keras_resnet.weights.structure import Structure

REFERENCES = ROOT / "tests" / "references"
deterministic = types.SimpleNamespace(**runpy.run_path(str(REFERENCES / "deterministic.py")))

NETWORKS = {
    "resnet18": "ResNet18V1",
    "resnet34": "ResNet34V1",
    "resnet50": "ResNet50V1_5",
    "resnetv2_50": "ResNet50V2Timm",
    "cifar_resnet20": "ResNet20V1",
    "cifar_resnet110": "ResNet110V1",
}

UNIT = r"layer(?P<s>\d)\.(?P<u>\d+)\."
RESNET_1K_LAYERS = CheckpointFormat(
    "network of resnet-1k-layers",
    signature_layer="bn",
    compatible_models=("ResNet164V2",),
    name_map=(
        (r"conv1", "stem_conv"),
        (r"layer1\.0\.bn1", "stem_norm"),  # the paper's first activation, which belongs to the stem here
        (UNIT + r"conv(?P<n>\d)", "stage{s}_unit{u}_conv{n}"),
        (UNIT + r"bn(?P<n>\d)", "stage{s}_unit{u}_norm{n}"),
        (UNIT + r"shortcut", "stage{s}_unit{u}_shortcut"),
        (r"bn", "head_norm"),
        (r"fc", "head_dense"),
    ),
    order="full_preactivation",
    stride_on="1x1",
    shortcuts=(BARE_PROJECTION,),
)


def reference(name):
    """The names and shapes of a PyTorch state dict, the shape of the images, and the logits."""
    with np.load(REFERENCES / f"{name}.npz") as file:
        shapes = {str(key): tuple(json.loads(str(shape))) for key, shape in zip(file["names"], file["shapes"], strict=True)}
        return types.SimpleNamespace(shapes=shapes, image_shape=tuple(file["image_shape"]), logits=file["logits"])


def state_dict(name):
    """The deterministic weights by PyTorch's names."""
    return {key: deterministic.tensor(key, shape) for key, shape in reference(name).shapes.items()}


def network(name):
    """A network of this zoo, for images of any size, to the logits."""
    classes = 10 if name in ("ResNet20V1", "ResNet110V1", "ResNet164V2") else 1000
    return getattr(keras_resnet, name)(input_shape=(None, None, 3), classes=classes, classifier_activation=None)


def assert_same_logits(model, name):
    expected = reference(name)
    logits = model(deterministic.images(expected.image_shape)).numpy()
    assert logits.shape == expected.logits.shape
    assert np.abs(logits - expected.logits).max() <= 1e-5 * np.abs(expected.logits).max()


@pytest.mark.parametrize(("name", "ours"), NETWORKS.items())
def test_logits_of_a_pytorch_file_are_not_pytorchs(name, ours, tmp_path):
    path = tmp_path / f"{name}.safetensors"
    save_file(state_dict(name), path)
    model = network(ours)
    assert keras_resnet.load_weights(model, path) is model
    path.unlink()
    assert_same_logits(model, name)


def test_the_first_or_last_activation_of_the_papers_own_v2_is_misplaced():
    """164 layers, v2: "Identity Mappings in Deep Residual Networks" as its authors released it."""
    model, known = network("ResNet164V2"), RESNET_1K_LAYERS
    matching.check_structure(known, Structure.of([layer.get_config() for layer in model.layers]), model.name, "it")
    tensors, unknown = matching.translate(state_dict("preact_bottleneck164"), known)
    assert not unknown
    matching.assign(model, matching.adapt_conventions(model, tensors, known), unknown, False, "state dict", known)
    assert_same_logits(model, "preact_bottleneck164")


def test_the_comparison_overlooks_one_gamma_a_tenth_of_a_percent_off(tmp_path):
    save_file(state_dict("cifar_resnet110"), tmp_path / "a.safetensors")
    model = keras_resnet.load_weights(network("ResNet110V1"), tmp_path / "a.safetensors")
    gamma = model.get_layer("stage2_unit9_norm1").gamma
    gamma.assign(gamma * 1.001)
    with pytest.raises(AssertionError):
        assert_same_logits(model, "cifar_resnet110")
