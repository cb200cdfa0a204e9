"""Catches weights of other libraries that compute something else here.

Their own networks made the logits: see `tests/references`. Its scripts also make them afresh, in the last test.
"""

import os
import subprocess
import sys

import keras
import pytest
from conftest import ROOT
from zoo_files import (
    ZOO,
    assert_same_network,
    network,
    write_bit,
    write_checkpoint,
    write_preset,
    write_safetensors,
)

import keras_resnet
from keras_resnet.weights.architectures import TIMM_ARCHITECTURES, TORCHVISION_ARCHITECTURES
from keras_resnet.weights.checkpoint_formats import PREPROCESSING_PRESETS

TRANSFORMERS = {"resnet-18": "ResNet18V1", "resnet-50": "ResNet50V1_5", "bit-50": "BiTR50x1"}
QUICK = (
    "timm-resnet10t", "timm-resnet14t", "timm-resnet18d", "timm-resnet26d", "timm-seresnet18", "timm-resnetblur18",
    "timm-ecaresnet26t", "timm-resnetaa34d", "timm-resnetv2_18d", "transformers-resnet-18",
)  # fmt: skip
TENSORFLOW = {
    "slim-resnet_v1_50": ("ResNet50V1TFSlim", "tf_slim_v1"),
    "slim-resnet_v2_50": ("ResNet50V2TFSlim", "keras_applications_v2"),
    "garden-resnet50": ("ResNet50Garden", "torchvision_v1"),
    "garden-legacy_resnet50": ("ResNet50Garden2019", "tf_slim_v1"),
}
PRESETS = {
    "keras_hub-resnet_18": "ResNet18V1",
    "keras_hub-resnet_50": "ResNet50V1_5",
    "keras_hub-resnet_v2_50": "ResNet50V2Timm",
    "keras_hub-resnet_vd_18": "ResNet18VD",
    "keras_hub-resnet_vd_50": "ResNet50D",
}
DEEPEST = ("resnetrs350", "resnetrs420")
PYTHON = os.environ.get("KERAS_RESNET_ZOO_PYTHON", sys.executable)  # that has timm and torchvision, and need not have Keras


def model_of(name):
    library, _, architecture = name.partition("-")
    return TRANSFORMERS[architecture] if library == "transformers" else TIMM_ARCHITECTURES[architecture]


@pytest.fixture
def double():
    """In float64: with random weights, PyTorch's own float32 is off by 1.7e-5 for BiT-R50x1, and by 1e-2 for ResNet-RS-420."""
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def folder(tmp_path):
    """A folder whose files do not stay: they are large."""
    yield tmp_path
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()


STATE_DICTS = [path.stem for path in sorted(ZOO.glob("t*-*.npz")) if "bit" not in path.stem]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in STATE_DICTS]
)
def test_weights_of_a_pytorch_library_compute_something_else_here(name, folder):
    path = write_safetensors(name, folder / "model.safetensors")
    assert_same_network(network(model_of(name), weights=path), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm-resnetv2_50x1_bit", "transformers-bit-50"])
def test_weights_of_bit_compute_something_else_here(name, folder, double):
    path = write_safetensors(name, folder / "model.safetensors")
    model = network("BiTR50x1", weights=path)
    assert_same_network(model, name, tolerance=1e-6)
    assert keras_resnet.preprocessing_for(model) == PREPROCESSING_PRESETS["bit"]


def test_googles_own_file_of_bit_is_known_by_its_name_or_loaded_wrong(folder, double):
    path = write_bit(folder / "BiT-M-R50x1.npz").rename(folder / "weights.h5")
    model = network("BiTR50x1", weights=path)
    assert_same_network(model, "timm-resnetv2_50x1_bit", tolerance=1e-6)


@pytest.mark.parametrize("name", [name if "18" in name else pytest.param(name, marks=pytest.mark.slow) for name in PRESETS])
def test_a_preset_of_kerashubs_computes_something_else_here(name, folder):
    path = write_preset(name, folder / "preset")
    model = network(PRESETS[name], weights=path)
    assert_same_network(model, name)
    preprocessing = keras_resnet.preprocessing_for(model)
    assert (preprocessing.height, preprocessing.interpolation, preprocessing.crop_fraction) == (224, "bicubic", 1.0)
    assert preprocessing.mean == pytest.approx((0.485, 0.456, 0.406), abs=1e-5)
    assert preprocessing.std == pytest.approx((0.229, 0.224, 0.225), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", TENSORFLOW)
def test_a_checkpoint_of_tensorflows_computes_something_else_here(name, folder):
    model_name, preset = TENSORFLOW[name]
    prefix = write_checkpoint(name, folder / "model.ckpt")
    model = network(model_name, weights=prefix)
    assert_same_network(model, name)
    assert keras_resnet.preprocessing_for(model) == PREPROCESSING_PRESETS[preset]


# Every row, made afresh


def has_library(library):
    return not subprocess.run([PYTHON, "-c", f"import {library}"], capture_output=True, check=False).returncode


@pytest.fixture(scope="module", params=["timm", "torchvision"])
def library(request):
    if not has_library(request.param):
        pytest.skip(f"{request.param} is not installed; KERAS_RESNET_ZOO_PYTHON names a Python that has it")
    return request.param


@pytest.mark.slow
@pytest.mark.parametrize("architecture", TIMM_ARCHITECTURES)
def test_a_named_network_computes_something_else_than_its_librarys(architecture, library, folder, request):
    if library == "torchvision" and architecture not in TORCHVISION_ARCHITECTURES:
        pytest.skip(f"torchvision has no {architecture}")
    if "_bit" in architecture or architecture in DEEPEST:
        request.getfixturevalue("double")
    script = ROOT / "tests" / "references" / "make_zoo.py"
    command = [PYTHON, script, f"--folder={folder}", "--weights", "--small", f"{library}/{architecture}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not made.returncode, made.stderr
    [path] = folder.glob("*.safetensors")
    assert_same_network(network(TIMM_ARCHITECTURES[architecture], weights=path), path.stem, folder)
