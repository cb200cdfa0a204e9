"""Catches a file that needs this package to load, a fast network that is another function, and a file that runs code."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet import BatchNormalization, UserError


@pytest.fixture(scope="module")
def model():
    return scramble(keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classifier_activation=None))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(3).normal(size=(4, 8, 8, 1)).astype("float32")


def norms(model):
    return {type(layer) for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}


def test_to_stock_is_the_same_function_in_stock_layers(model, x):
    stock = keras_resnet.to_stock(model)
    assert norms(model) == {BatchNormalization}
    assert norms(stock) == {keras.layers.BatchNormalization}
    assert [layer.name for layer in stock.layers[1:]] == [layer.name for layer in model.layers[1:]]
    np.testing.assert_allclose(stock(x), model(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(stock(x, training=True), model(x, training=True), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("stock", [True, False])
def test_load_model_reads_either_kind_of_file_and_gives_the_fast_network(stock, model, x, tmp_path):
    (keras_resnet.to_stock(model) if stock else model).save(tmp_path / "m.keras")
    loaded = keras_resnet.load_model(tmp_path / "m.keras")
    assert norms(loaded) == {BatchNormalization}
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-5, atol=1e-5)


def test_a_network_inside_another_is_reached(model, x):
    """Transfer learning: the zoo's network is one layer of the user's."""
    inputs = keras.Input((8, 8, 1))
    outer = keras.Model(inputs, keras.layers.Dense(2)(model(inputs)))
    stock = keras_resnet.to_stock(outer)
    assert norms(stock.layers[1]) == {keras.layers.BatchNormalization}
    np.testing.assert_allclose(stock(x), outer(x), rtol=1e-4, atol=1e-4)


def test_trainable_flags_survive(model):
    model.get_layer("stem_norm").trainable = False
    assert not keras_resnet.to_stock(model).get_layer("stem_norm").trainable
    model.get_layer("stem_norm").trainable = True


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_come_back_from_either_kind_of_file(suffix, model, x, tmp_path):
    path = str(tmp_path / f"m{suffix}")
    (model.save if suffix == ".keras" else model.save_weights)(path)
    again = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classifier_activation=None, weights=path)
    np.testing.assert_allclose(again(x), model(x), rtol=1e-5, atol=1e-5)


def test_weights_that_do_not_fit_leave_the_network_as_it_was(model, tmp_path):
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras_resnet.ResNet32V2(input_shape=(8, 8, 1), classes=7)
    before = other.get_weights()
    with pytest.raises(UserError, match="does not fit resnet32v2"):
        keras_resnet.load_weights(other, tmp_path / "m.weights.h5")
    for one, two in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_classifier_file_loads_and_predicts_where_only_keras_and_tensorflow_are(run, data_dir):
    """The interpreter runs isolated from this package, as on a machine that does not have it."""
    program = """
import sys
sys.modules["keras_resnet"] = None
import keras, numpy
model = keras.saving.load_model(sys.argv[1])
probabilities = model.predict(numpy.full((2, 8, 8, 1), 128, "uint8"), verbose=0)
assert probabilities.shape == (2, 10) and abs(probabilities.sum(axis=1) - 1).max() < 1e-5
assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(run.workdir / "model.keras")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_skip_path_longer_than_pythons_recursion_limit_builds_clones_and_loads(tmp_path):
    """In a process of its own, whose limit nobody has raised. The plain network has no way around its branches."""
    program = """
import sys, keras_resnet
from keras_resnet.models.builder import build
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.variants import Variant
assert sys.getrecursionlimit() == 1000
head = {"include_top": True, "pooling": None, "classes": 10, "classifier_activation": "softmax"}
variant = Variant("cifar", 362, "basic", "original", "none")
model = build(variant, ModelOptions(), input_shape=(8, 8, 3), input_tensor=None, name="deep", **head)
assert len(model.layers) > 1000
model.save(sys.argv[1])
sys.setrecursionlimit(1000)
assert keras_resnet.load_model(sys.argv[1]).count_params() == model.count_params()
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "m.keras")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def truncated(path, model):
    model.save(path)
    path.write_bytes(path.read_bytes()[:-5000])


def not_one(path, model):
    path.write_text("a text")


def with_lambda(path, model):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [(truncated, "truncated"), (not_one, "not a .keras file"), (with_lambda, "cannot be loaded"), (lambda *_: None, "no file")],
)
def test_a_bad_file_is_refused_in_one_line(make, message, model, tmp_path):
    make(tmp_path / "bad.keras", model)
    with pytest.raises(UserError, match=message) as caught:
        keras_resnet.load_model(tmp_path / "bad.keras")
    assert "\n" not in str(caught.value)


def test_a_norm_that_cannot_be_reached_is_said(x):
    inputs = keras.Input((2, 8, 8, 1))
    inner = keras.Sequential([keras.Input((8, 8, 1)), BatchNormalization()])
    outer = keras.Model(inputs, keras.layers.TimeDistributed(inner)(inputs))
    with pytest.raises(UserError, match="cannot be converted"):
        keras_resnet.to_stock(outer)
    with pytest.raises(UserError, match="functional"):
        keras_resnet.to_stock(3)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_of_another_network_with_the_same_shapes_are_refused(suffix, tmp_path):
    """v1 and v2 of one depth have weights of the same shapes in the same order of kinds, and Keras goes by that alone."""
    v2 = keras_resnet.ResNet20V2(input_shape=(8, 8, 1))
    path = str(tmp_path / f"m{suffix}")
    (v2.save if suffix == ".keras" else v2.save_weights)(path)
    with pytest.raises(UserError, match=r"order is full_preactivation there|missing stage1_unit1_norm1.*unexpected head_norm"):
        keras_resnet.ResNet20V1(input_shape=(8, 8, 1), weights=path)


def test_a_weight_file_is_known_by_its_content(model, x, tmp_path):
    model.save(tmp_path / "m.keras")
    (tmp_path / "m.keras").rename(tmp_path / "renamed.bin")
    again = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classifier_activation=None, weights=tmp_path / "renamed.bin")
    np.testing.assert_allclose(again(x), model(x), rtol=1e-5, atol=1e-5)


def test_a_frozen_network_stays_frozen():
    frozen = keras_resnet.ResNet20V2(input_shape=(8, 8, 1))
    frozen.trainable = False
    stock = keras_resnet.to_stock(frozen)
    assert not stock.trainable
    assert not stock.trainable_weights
