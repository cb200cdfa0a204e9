"""Catches a network that is another function, or none, on another Keras backend or with the channels first."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet.graph import macs
from keras_resnet.models.builder import build
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.variants import Variant

# Side of the images, row of the table and options, of small networks that have every kind of layer between them. In some,
# feature maps are as wide as they have channels.
NETWORKS = [
    (16, ("cifar", 8, "basic", "original", "A"), {}),
    (20, ("cifar", 8, "basic", "full_preactivation", "exclusive_gating"), {"stochastic_depth": 0.5, "classifier_dropout": 0.2}),
    (32, ("cifar", 8, "basic", "bn_after_addition", "constant_scaling", "1x1", 1, "imagenet"), {"zero_init_residual": True}),
    (40, ("cifar", 11, "bottleneck", "full_preactivation", "B", "3x3", 1, "slim"), {"width_multiplier": 0.5}),
    (32, ("cifar", 11, "bottleneck", "full_preactivation", "C", "3x3", 1, "timm"), {"output_stride": 8}),
    (16, ("cifar", 11, "bottleneck", "original", "B", "3x3", 1, "cifar", 4, 16), {"output_stride": 2}),
]
ARGUMENTS = {
    "include_top": True,
    "input_tensor": None,
    "pooling": None,
    "classes": 3,
    "classifier_activation": None,
    "name": "small",
}
LABELS = [0, 1, 2, 0, 1, 2, 0, 1]
FIT = {"batch_size": 4, "epochs": 1, "shuffle": False, "verbose": 0}

PROGRAM = """
import json, sys
from pathlib import Path

import keras
import numpy as np
import keras_resnet
from keras_resnet.models.builder import build
from keras_resnet.graph import macs
from keras_resnet.models.layers import drop_path
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.variants import Variant

folder, networks, arguments, labels, fit = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
first = keras.config.image_data_format() == "channels_first"


def shape(height, width):
    return (3, height, width) if first else (height, width, 3)


def network(number):
    size, row, options = networks[number]
    return build(Variant(*row), ModelOptions(**options), input_shape=shape(size, size), **arguments)


def images(number):
    x = np.load(folder / f"{number}.x.npy")
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if first else x


def assert_same_function(model, number, words):
    y, expected = model.predict(images(number), verbose=0), np.load(folder / f"{number}.y.npy")
    assert np.abs(y - expected).max() < 1e-4 * np.abs(expected).max(), f"network {number} is another function {words}"


for number, count in enumerate(json.loads((folder / "counts.json").read_text())):
    model = keras_resnet.load_weights(network(number), folder / f"{number}.weights.h5")
    assert_same_function(model, number, "")
    assert macs(model) == count, number
    parts = keras_resnet.backbone(model)
    for name, feature in parts.model.output.items():
        side = -(-images(number).shape[2] // parts.strides[name])
        assert feature.shape[1:] == ((parts.channels[name], side, side) if first else (side, side, parts.channels[name]))

model.save(folder / "again.keras")
assert_same_function(keras_resnet.load_model(folder / "again.keras"), number, "from .keras")
model.save_weights(folder / "again.weights.h5")
assert_same_function(keras_resnet.load_weights(network(number), folder / "again.weights.h5"), number, "from .weights.h5")
assert_same_function(keras_resnet.to_stock(model), number, "in stock layers")

# Training: where nothing is random, the weights and moving statistics come out the same.
for number in (0, 1):
    model = keras_resnet.load_weights(network(number), folder / f"{number}.weights.h5")
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images(number), np.array(labels), **fit)
    assert np.isfinite(model.predict(images(number), verbose=0)).all()
    if number == 0:
        for weight, old, expected in zip(model.weights, before, np.load(folder / "fitted.npz").values(), strict=True):
            moved, off = np.linalg.norm(expected - old), np.linalg.norm(keras.ops.convert_to_numpy(weight) - expected)
            assert off < 0.02 * moved, f"{weight.path} moved by {moved} and is {off} off"  # a ReLU may switch by a rounding

# Stochastic depth leaves out whole examples.
inputs = keras.Input(shape(2, 3))
ones = np.ones((400, *inputs.shape[1:]), "float32")
dropped = keras.Model(inputs, drop_path(inputs, 0.75, name="drop"))(ones, training=True)
dropped = keras.ops.convert_to_numpy(dropped).reshape(400, -1)
assert set(np.unique(dropped)) == {0.0, 4.0}, np.unique(dropped)
assert (dropped == dropped[:, :1]).all(), "a part of an example is left out"
assert 0.6 < (dropped == 0).mean() < 0.9

# Images of any size.
features = build(Variant(*networks[0][1]), ModelOptions(), input_shape=None, **{**arguments, "include_top": False})
for size, side in (((9, 12), (3, 3)), ((8, 8), (2, 2))):
    y = features.predict(np.ones((2, *shape(*size)), "float32"), verbose=0)
    assert sorted(y.shape) == [2, *side, 64], y.shape
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A folder with images, weights, outputs and one epoch's weights: TensorFlow's, with the channels last."""
    folder, counts = tmp_path_factory.mktemp("backends"), []
    keras.utils.set_random_seed(0)
    for number, (size, row, options) in enumerate(NETWORKS):
        x = np.random.default_rng(number).normal(size=(8, size, size, 3)).astype("float32")
        model = scramble(build(Variant(*row), ModelOptions(**options), input_shape=(size, size, 3), **ARGUMENTS))
        model.save_weights(folder / f"{number}.weights.h5")
        np.save(folder / f"{number}.x.npy", x)
        np.save(folder / f"{number}.y.npy", model(x))
        counts.append(macs(model))
        if number == 0:
            model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            model.fit(x, np.array(LABELS), **FIT)
            np.savez(folder / "fitted.npz", *model.get_weights())
    (folder / "counts.json").write_text(json.dumps(counts))
    return folder


def check(backend, data_format, folder, home):
    """Runs the program as a user whose keras.json has the data format and whose TensorFlow, if it is not needed, is broken."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    (home / "keras.json").write_text(json.dumps({"image_data_format": data_format}))
    environment = {**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(home)}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # JAX compiles each network in half the time
    if backend != "tensorflow":
        (home / "tensorflow.py").write_text("raise ImportError('a broken TensorFlow')")
        environment["PYTHONPATH"] = os.pathsep.join([str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-P", "-c", PROGRAM, str(folder), *map(json.dumps, (NETWORKS, ARGUMENTS, LABELS, FIT))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_computes_and_learns_what_tensorflow_does_and_without_it(backend, reference, tmp_path):
    check(backend, "channels_last", reference, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_with_the_channels_first_it_is_the_same_network(backend, reference, tmp_path):
    check(backend, "channels_first", reference, tmp_path)


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.slow
def test_with_the_channels_first_on_tensorflow_it_is_the_same_network(reference, tmp_path, channels_first):
    try:
        keras_resnet.ResNet20V1()
    except UserError:
        pytest.skip("this TensorFlow has no convolutions with the channels first")
    check("tensorflow", "channels_first", reference, tmp_path)


def test_channels_first_is_refused_where_tensorflow_has_no_such_convolutions(channels_first):
    """Catches a network that builds and crashes in its first prediction. No CPU has these of float64."""
    keras.config.set_dtype_policy("float64")
    try:
        with tf.device("CPU:0"), pytest.raises(UserError, match="no such convolutions of float64") as error:
            keras_resnet.ResNet20V1()
    finally:
        keras.config.set_dtype_policy("float32")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("width", [16, None])
def test_channels_first_is_refused_where_tensorflow_would_add_biases_along_the_width(width, channels_first, monkeypatch):
    """Catches another function, without an error, on maps as wide as they have channels."""
    monkeypatch.setattr(keras_resnet.models.layers, "check_data_format", lambda: None)  # wherever this test runs
    with pytest.raises(UserError, match="misplaces the 16 biases of stage1_unit1_shortcut_gate") as error:
        keras_resnet.ResNet20V1(shortcut="shortcut_only_gating", input_shape=(3, 8, width))
    assert "\n" not in str(error.value)
    assert keras_resnet.ResNet20V1(shortcut="shortcut_only_gating", input_shape=(3, 16, 8)).output_shape == (None, 10)
