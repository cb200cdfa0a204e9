"""Catches a network that is not the paper's, and an argument that does not mean what it does in keras.applications."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import scramble

import keras_resnet
from keras_resnet import UserError

SMALL = ("ResNet20V1", "ResNet20V2", "PlainNet20", "WideResNet16_8", "ResNet18V1", "ResNet18V2", "ResNet50V1", "ResNet50V1_5")


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_every_weight(name, rng):
    """Catches a layer that is built and then left out of the path."""
    model = scramble(getattr(keras_resnet, name)(input_shape=(32, 32, 3), classes=5, classifier_activation=None))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(rng.normal(size=(2, 32, 32, 3)).astype("float32"), training=True) ** 2)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert np.abs(gradient).max() > 0, weight.path


def layer_types(model, unit):
    """The kinds of a unit's layers in the order in which they were built."""
    names = {"Conv2D": "conv", "BatchNormalization": "norm", "ReLU": "relu", "Add": "add"}
    layers = [layer for layer in model.layers if layer.name.startswith(f"{unit}_") and "shortcut" not in layer.name]
    return [names[type(layer).__name__] for layer in layers if type(layer).__name__ in names]


@pytest.mark.parametrize(
    ("name", "unit", "order"),
    [
        ("ResNet20V1", "stage1_unit2", "conv norm relu conv norm add relu"),
        ("ResNet50V1", "stage1_unit2", "conv norm relu conv norm relu conv norm add relu"),
        ("ResNet20V2", "stage1_unit2", "norm relu conv norm relu conv add"),
        ("ResNet20V2", "stage1_unit1", "conv norm relu conv add"),
        ("ResNet50V2", "stage1_unit2", "norm relu conv norm relu conv norm relu conv add"),
        ("ResNet50V2", "stage1_unit1", "conv norm relu conv norm relu conv add"),
        ("PlainNet20", "stage1_unit2", "conv norm relu conv norm relu"),
    ],
)
def test_a_units_order_of_operations_is_that_of_the_papers_figure(name, unit, order):
    model = getattr(keras_resnet, name)(input_shape=(32, 32, 3))
    assert layer_types(model, unit) == order.split()


def strides(model):
    return {layer.name: layer.strides[0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}


@pytest.mark.parametrize(
    ("name", "strided"),
    [("ResNet50V1", "conv1"), ("ResNet50V1_5", "conv2"), ("ResNet50V2", "conv2"), ("ResNet164V2", "conv1")],
)
def test_the_stride_sits_on_the_convolution_that_the_papers_say(name, strided):
    found = strides(getattr(keras_resnet, name)())
    assert {f"stage2_unit1_{conv}": found[f"stage2_unit1_{conv}"] for conv in ("conv1", "conv2", "conv3")} == {
        f"stage2_unit1_{conv}": 2 if conv == strided else 1 for conv in ("conv1", "conv2", "conv3")
    }


def test_projections_read_the_shared_preactivation_without_a_norm_in_v2_and_the_skip_path_with_one_in_v1():
    v1, v2 = keras_resnet.ResNet18V1(), keras_resnet.ResNet18V2()
    assert v2.get_layer("stage2_unit1_shortcut").input is v2.get_layer("stage2_unit1_relu1").output
    assert v1.get_layer("stage2_unit1_shortcut_conv").input is v1.get_layer("stage1_unit2_relu2").output
    assert v1.get_layer("stage2_unit1_shortcut_norm")


def test_identity_units_of_v2_add_the_raw_skip_path():
    model = keras_resnet.ResNet20V2()
    assert model.get_layer("stage1_unit2_add").input[0] is model.get_layer("stage1_unit1_add").output


def test_option_a_subsamples_and_pads_half_of_the_channels_before(rng):
    model = keras_resnet.ResNet20V1()
    features, padded = model.get_layer("stage1_unit3_relu2").output, model.get_layer("stage2_unit1_shortcut_pad").output
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    before, after = keras.Model(model.input, [features, padded])(x)
    np.testing.assert_array_equal(after[..., 8:24], before[:, ::2, ::2])
    assert not np.any(after[..., :8])
    assert not np.any(after[..., 24:])


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("kernel", [3, 7])
def test_strided_convolutions_pad_both_sides_alike(size, kernel, rng):
    """Catches Keras' "same", with which no PyTorch weight would ever fit."""
    from keras_resnet.models.layers import conv

    inputs = keras.Input((size, size, 2))
    layer = keras.Model(inputs, conv(inputs, 3, kernel, stride=2, name="c"))
    x, p = rng.normal(size=(1, size, size, 2)).astype("float32"), kernel // 2
    expected = tf.nn.conv2d(x, layer.get_layer("c").kernel.value, 2, [[0, 0], [p, p], [p, p], [0, 0]])
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_initializer_epsilon_and_momentum_are_the_papers():
    model = keras_resnet.ResNet18V1(input_shape=(32, 32, 3))
    kernel = model.get_layer("stage4_unit1_conv2").kernel.numpy()
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 512)), rtol=0.01)
    assert np.abs(kernel).max() > 3.5 * kernel.std(), "truncated"
    other = model.get_layer("stage4_unit2_conv2").kernel.numpy()
    assert not np.array_equal(kernel, other), "one initializer that draws the same numbers for every layer"
    norm = model.get_layer("stem_norm")
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.9)
    assert not model.get_layer("stem_conv").use_bias


def test_the_arguments_of_keras_applications_are_there_under_the_same_names():
    import inspect

    theirs = inspect.signature(keras.applications.ResNet50).parameters
    ours = inspect.signature(keras_resnet.ResNet50V1).parameters
    assert set(theirs) <= set(ours)
    assert list(ours)[:8] == list(theirs)[:8]
    assert ours["weights"].default is None


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (None, 10)),
        ({"classes": 3, "input_shape": (None, None, 1)}, (None, 3)),
        ({"include_top": False}, (None, None, None, 64)),
        ({"include_top": False, "input_shape": (33, 47, 3)}, (None, 9, 12, 64)),
        ({"include_top": False, "pooling": "avg"}, (None, 64)),
        ({"include_top": False, "pooling": "max", "input_shape": (5, 5, 7)}, (None, 64)),
    ],
)
def test_top_pooling_classes_and_shapes(options, shape, rng):
    model = keras_resnet.ResNet20V2(**options)
    assert model.output_shape == shape
    size = [side or 20 for side in model.input_shape[1:]]
    assert np.all(np.isfinite(model(rng.normal(size=(2, *size)).astype("float32"))))


def test_any_size_gives_the_same_function_as_the_fixed_size(rng):
    """Catches a shape decided at building time: with (None, None, 3) a stride is invisible in the shapes."""
    for name in ("ResNet20V1", "ResNet18V2"):
        fixed = scramble(getattr(keras_resnet, name)(input_shape=(40, 24, 3), classes=4))
        free = getattr(keras_resnet, name)(input_shape=(None, None, 3), classes=4)
        free.set_weights(fixed.get_weights())
        x = rng.normal(size=(2, 40, 24, 3)).astype("float32")
        np.testing.assert_allclose(free(x), fixed(x), rtol=1e-5, atol=1e-6)


def test_logits_are_what_the_softmax_reads(rng):
    probabilities = scramble(keras_resnet.ResNet20V1())
    logits = keras_resnet.ResNet20V1(classifier_activation=None)
    logits.set_weights(probabilities.get_weights())
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(tf.nn.softmax(logits(x)), probabilities(x), rtol=1e-5, atol=1e-7)


def test_input_tensor_builds_on_a_graph():
    pixels = keras.Input((16, 16, 3))
    model = keras_resnet.ResNet20V2(input_tensor=keras.layers.Rescaling(1 / 255)(pixels), name="mine")
    assert model.inputs[0] is pixels
    assert model.name == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "v3"}, "unknown unit 'v3'; the orders inside a unit are original, bn_after.*, full_preactivation"),
        ({"shortcut": "D"}, "unknown shortcut 'D'; the shortcuts are A, B, C, vd, none"),
        ({"pooling": "sum"}, "unknown pooling 'sum'; it is None or one of avg, max"),
        ({"classes": 0}, "classes is 0"),
        ({"classes": True}, "classes is True"),
        ({"classifier_activation": "softmaxx"}, "unknown classifier_activation 'softmaxx'"),
        ({"input_shape": (32, 32)}, "height, width, channels"),
        ({"input_shape": 32}, "input_shape is 32"),
        ({"input_shape": (0, 32, 3)}, "height, width, channels"),
        ({"input_tensor": keras.KerasTensor((None, 32, 32))}, "it has rank 4"),
        ({"input_shape": (32, 32, None)}, "height, width, channels"),
        ({"input_tensor": np.zeros((1, 32, 32, 3))}, "input_tensor is a ndarray"),
        ({"weights": "imagenet"}, "no weights 'imagenet'"),
    ],
)
def test_a_wrong_value_is_named_with_the_valid_choices(options, message):
    with pytest.raises(UserError, match=message):
        keras_resnet.ResNet20V2(**options)


def test_a_zoo_network_trains_under_plain_keras(rng):
    model = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classes=2)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = rng.normal(size=(32, 8, 8, 1)).astype("float32")
    losses = model.fit(x, (x.mean(axis=(1, 2, 3)) > 0).astype(int), epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_docstrings_tell_reference_shapes_and_the_keras_examples_name():
    assert "1512.03385" in keras_resnet.ResNet20V1.__doc__
    assert "(N, 224, 224, 3) -> (N, 1000)" in keras_resnet.ResNet50V2.__doc__
    assert 'ResNet56V2(block="bottleneck")' in keras_resnet.ResNet56V2.__doc__
