"""Catches weights that are refused for the head or the model around them, and those that are not what they seem."""

import dataclasses

import keras
import numpy as np
import pytest
from conftest import scramble
from life.models import (
    CLASSES,
    INSIDE,
    SIZE,
    bottlenecks,
    by_applications_name,
    functional,
    renamed,
    save,
    sequential,
    torch_state,
    two_networks,
)
from safetensors.numpy import save_file

import keras_resnet
from keras_resnet import UserError
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.network.classifier import pretrained_classifier
from keras_resnet.training.recipes import get_recipe
from keras_resnet.weights.checkpoint_formats import PREPROCESSING_PRESETS
from keras_resnet.weights.matching import MismatchError

SUFFIXES = (".keras", ".weights.h5", ".h5")


@pytest.fixture(scope="module")
def original():
    """A network without a top, by the names of keras.applications' ResNet-50."""
    return renamed(keras_resnet.to_stock(scramble(bottlenecks(include_top=False))), by_applications_name)


@pytest.fixture(scope="module")
def target():
    """A network that takes its weights, with a top."""
    return bottlenecks(include_top=True)


@pytest.fixture(scope="module")
def small():
    return scramble(keras_resnet.ResNet20V1(input_shape=(SIZE, SIZE, 3), classes=3, width_multiplier=0.25))


def emptied(model):
    model.set_weights([np.zeros(weight.shape) for weight in model.weights])
    return model


def body_weights(model):
    return [weight.numpy() for layer in model.layers if layer.name != "head_dense" for weight in layer.weights]


def assert_loaded(model, expected):
    for found, value in zip(body_weights(model), expected, strict=True):
        np.testing.assert_array_equal(found, value)


def assert_refused(model, path, *words, **arguments):
    before = model.get_weights()
    with pytest.raises(UserError) as caught:
        keras_resnet.load_weights(model, path, **arguments)
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).isprintable()
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [(kind, suffix) for kind in INSIDE for suffix in SUFFIXES if suffix != ".keras" or kind in ("sequential", "in a wrapper")],
)
def test_a_network_inside_another_is_not_found(kind, suffix, original, target, tmp_path):
    path = save(INSIDE[kind](original), tmp_path / f"m{suffix}")
    keras_resnet.load_weights(emptied(target), path, skip_head=True)
    np.testing.assert_array_equal(target.get_layer("stem_conv").kernel, original.get_layer("conv1_conv").kernel)
    assert_loaded(target, [weight for layer in by_our_order(original, target) for weight in layer.get_weights()])
    error = assert_refused(target, path, "head_dense/kernel", "skip_head=True")
    assert isinstance(error, MismatchError)


def by_our_order(original, target):
    names = [by_applications_name(layer.name) for layer in target.layers if layer.weights and layer.name != "head_dense"]
    return [original.get_layer(name) for name in names]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_our_network_in_fast_layers_inside_another_is_not_found(suffix, tmp_path):
    inner = scramble(keras_resnet.ResNet20V2(include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3)))
    path = save(keras.Sequential([keras.Input((SIZE, SIZE, 3)), inner, keras.layers.Dense(CLASSES)]), tmp_path / f"m{suffix}")
    model = keras_resnet.ResNet20V2(include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3))
    keras_resnet.load_weights(model, path)  # a network without a top takes files with and without
    assert_loaded(model, inner.get_weights())
    if suffix == ".keras":
        assert_refused(keras_resnet.ResNet20V1(input_shape=(SIZE, SIZE, 3)), path, "order is full_preactivation there")


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_one_of_two_networks_is_taken_without_a_word(suffix, original, target, tmp_path):
    other = renamed(original, lambda name: name)
    other.name, original.name = "second", "first"
    path = save(two_networks(original, other), tmp_path / f"m{suffix}")
    assert_refused(target, path, "holds 2 networks, in first, second: save the one that you want", skip_head=True)


def test_the_line_does_not_say_in_which_layer_the_network_lies(original, small, tmp_path):
    original.name = "original"
    path = save(sequential(original), tmp_path / "m.weights.h5")
    assert_refused(small, path, "holds keras.applications ResNet weights", skip_head=True)
    wider = bottlenecks(include_top=True, width_multiplier=0.5)
    assert_refused(wider, path, "m.weights.h5, layer original, does not fit bottlenecks: misshaped", skip_head=True)


@pytest.mark.parametrize("make", [sequential, functional])
def test_the_scaling_in_front_of_a_network_is_forgotten(make, original, target, tmp_path):
    """Its file's images are scaled to -1 to 1, not as keras.applications does for its own weights."""
    keras_resnet.load_weights(target, save(make(original), tmp_path / "m.keras"), skip_head=True)
    preprocessing = keras_resnet.preprocessing_for(target)
    pixels = np.arange(0, 252, 21, dtype=np.float32).reshape(2, 2, 3)
    np.testing.assert_allclose(preprocessing.normalize(pixels), pixels / 127.5 - 1, atol=1e-6)
    keras_resnet.load_weights(target, save(original, tmp_path / "bare.keras"), skip_head=True)
    assert keras_resnet.preprocessing_for(target) == PREPROCESSING_PRESETS["keras_applications_v1"]


def test_train_does_not_take_our_network_inside_another(tmp_path):
    """Its scaling is the one in front of it; a file that has none says what to do."""
    inner = keras_resnet.to_stock(keras_resnet.ResNet20V1(include_top=False, input_shape=(SIZE, SIZE, 3)))
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES)]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Rescaling(1 / 255), inner, *head])
    path = str(save(model, tmp_path / "m.keras"))
    config = TrainConfig("ResNet20V1", "digits", "finetune", get_recipe("finetune"), weights=path, skip_head=True)
    network, preprocessing, _ = pretrained_classifier(config, classes=3)
    assert network.output_shape == (None, 3)
    assert preprocessing == Preprocessing(SIZE, SIZE, 3, (0.0,) * 3, (1.0,) * 3)
    config = dataclasses.replace(config, weights=str(save(model, tmp_path / "m.weights.h5")))
    with pytest.raises(UserError, match=r"m.weights.h5 does not say how its images are prepared; .*save_classifier"):
        pretrained_classifier(config, classes=3)


def zeros(*shape):
    return np.zeros(shape, "float32")


HEADS = {
    "after a dropout": {"fc.1.weight": zeros(3, 16), "fc.1.bias": zeros(3)},
    "two layers": {"fc.0.weight": zeros(8, 16), "fc.0.bias": zeros(8), "fc.3.weight": zeros(3, 8), "fc.3.bias": zeros(3)},
    "timm's": {"head.fc.weight": zeros(3, 16), "head.fc.bias": zeros(3)},
    "classifier": {"classifier.weight": zeros(3, 16), "classifier.bias": zeros(3)},
    "a projector": {"projector.0.weight": zeros(8, 16), "projector.1.running_mean": zeros(8), "projector.1.weight": zeros(8)},
    "a 1x1 convolution": {"mlp_head.0.weight": zeros(3, 16, 1, 1)},
    "none": {},
    "more classes": {"fc.weight": zeros(9, 16), "fc.bias": zeros(9)},
    "two heads": {"fc.weight": zeros(3, 16), "fc.bias": zeros(3), "rotation_classifier.weight": zeros(4, 16)},
    "a norm": {"fc_norm.weight": zeros(16), "fc_norm.bias": zeros(16), "head.weight": zeros(3, 16)},
}


@pytest.fixture(scope="module")
def state(small):
    return {name: array for name, array in torch_state(small).items() if not name.startswith("fc.")}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_of_its_own_keeps_the_body_from_loading(head, state, small, tmp_path):
    expected = body_weights(small)
    save_file(state | HEADS[head], tmp_path / "a.safetensors")
    model = keras_resnet.ResNet20V1(input_shape=(SIZE, SIZE, 3), classes=3, width_multiplier=0.25)
    assert_refused(model, tmp_path / "a.safetensors", "does not fit", "skip_head=True)", "--skip_head")
    keras_resnet.load_weights(model, tmp_path / "a.safetensors", skip_head=True)
    assert_loaded(model, expected)
    headless = keras_resnet.ResNet20V1(include_top=False, input_shape=(SIZE, SIZE, 3), width_multiplier=0.25)
    assert_loaded(keras_resnet.load_weights(headless, tmp_path / "a.safetensors"), expected)


@pytest.mark.parametrize(
    "extra",
    [
        {"layer1.0.cbam.fc1.weight": zeros(2, 4)},
        {"layer2.0.attn.weight": zeros(2, 4, 1, 1)},
        {"bn2.weight": zeros(16)},
        {"sa.conv1.weight": zeros(1, 2, 7, 7)},
        {"conv2.weight": zeros(4, 4, 3, 3)},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_layers_in_the_body_are_dropped_as_if_they_were_a_head(extra, state, small, tmp_path):
    save_file(state | extra, tmp_path / "a.safetensors")
    assert_refused(small, tmp_path / "a.safetensors", f"unexpected {next(iter(extra))}", skip_head=True)


@pytest.mark.parametrize("prefix", ["encoder.", "module.backbone.", "base_model."])
def test_a_prefix_that_the_head_has_not_hides_the_network(prefix, state, small, tmp_path):
    expected = body_weights(small)
    content = {f"{prefix}{name}": array for name, array in state.items()}
    save_file(content | {"module.projection.0.weight": zeros(8, 16)}, tmp_path / "a.safetensors")
    keras_resnet.load_weights(emptied(small), tmp_path / "a.safetensors", skip_head=True)
    assert_loaded(small, expected)
    scramble(small)


def test_student_and_teacher_are_taken_for_one(state, small, tmp_path):
    both = {f"{who}.{name}": array for who in ("student", "teacher") for name, array in state.items()}
    save_file(both, tmp_path / "a.safetensors")
    assert_refused(small, tmp_path / "a.safetensors", "holds 2 networks, in student, teacher", skip_head=True)


def test_the_parts_of_a_pytorch_file_are_not_looked_into(state, small, tmp_path):
    torch = pytest.importorskip("torch")
    expected = body_weights(small)
    parts = {"encoder": {name: torch.from_numpy(array) for name, array in state.items()}, "epoch": 3, "optimizer": {"lr": 1}}
    torch.save(parts | {"head": {"weight": torch.zeros(3, 16)}}, tmp_path / "a.pth")
    keras_resnet.load_weights(emptied(small), tmp_path / "a.pth", skip_head=True)
    assert_loaded(small, expected)
    scramble(small)


def test_weights_for_the_network_inside_ones_own_model_are_refused_without_a_word(small, tmp_path):
    path = save(small, tmp_path / "a.weights.h5")
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Rescaling(1 / 255), small])
    assert_refused(model, path, "its layer resnet20v1 is one: load into model.get_layer('resnet20v1')")


def test_another_network_with_layers_of_the_same_names_is_taken_for_a_resnet(target, tmp_path):
    """MobileNet and DenseNet have a `conv1_bn` too."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.BatchNormalization(name="conv1_bn")(keras.layers.Conv2D(4, 3, name="conv1")(inputs))
    path = save(keras.Model(inputs, x), tmp_path / "mobilenet.h5")
    assert_refused(target, path, "holds no known ResNet", skip_head=True)
