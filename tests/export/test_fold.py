"""Catches a fold that computes something else, that leaves a normalization, or that silently gives up."""

import collections
import dataclasses

import keras
import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet.export.fold.folding import fold
from keras_resnet.grouped_convolution import Conv2D
from keras_resnet.models.builder import build
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.orders import ORDERS
from keras_resnet.models.variants import VARIANTS

layers = keras.layers
UNITS = tuple(ORDERS)
SHORTCUTS = ("A", "B", "C", "none", "constant_scaling(0.5,0.5)", "exclusive_gating(-6)", "shortcut_only_gating(-6)", "dropout")
EXACT = 1e-13  # of the largest output, in float64


def in_float64(model):
    """Converts a network to stock layers in float64. Keras adds epsilon in float32, so it becomes a power of two."""

    def renew(layer):
        if not isinstance(layer, keras.Layer):
            return layer
        config = {**layer.get_config(), "dtype": "float64"}
        return type(layer).from_config({**config, "epsilon": 2.0**-17} if "epsilon" in config else config)

    stock = keras_resnet.to_stock(model)
    clone = keras.models.clone_model(stock, clone_function=renew)
    clone.set_weights(stock.get_weights())
    return clone


def difficult(model, seed=1):
    """Makes some gammas negative, zero, tiny or so small that nothing can make them matter."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith("gamma"):
            gamma = weight.numpy()
            for value in (-1.0, 0.0, 1e-4, 1e-30):
                chosen = generator.random(gamma.shape) < 0.1
                gamma[chosen] = -gamma[chosen] if value == -1 else value
            weight.assign(gamma)
    return model


def difference(model, seed=3):
    """The difference between the model and its fold in float64, as a share of the largest output."""
    model = in_float64(model)
    images = np.random.default_rng(seed).normal(size=(2, *model.input_shape[1:])).astype("float32").astype("float64")
    outputs = model(images).numpy()
    return np.abs(outputs - fold(model, "float64")(images).numpy()).max() / np.abs(outputs).max()


def operations(model):
    """Counts each kind of operation; `add`, `subtract` and `multiply` are those by a constant."""
    return collections.Counter(
        type(operation).__name__ if isinstance(operation, keras.Layer) else type(operation).__name__.lower()
        for operation in model.operations
    )


def net(name="ResNet20V2", **options):
    return scramble(getattr(keras_resnet, name)(**{"input_shape": (16, 12, 3), "classifier_activation": None, **options}))


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("unit", UNITS)
def test_every_order_and_shortcut_computes_the_same_in_float64(unit, shortcut):
    model = net(unit=unit, shortcut=shortcut)
    assert difference(model) < EXACT
    assert difference(difficult(model)) < EXACT


def one_of_each_kind():
    """Of the networks for ImageNet with batch norms that are alike but for their depth and width, the first."""
    kinds = {}
    for name, row in VARIANTS.items():
        if row.family == "imagenet" and row.normalization == "batch" and row.shortcut != "none":
            kinds.setdefault(
                dataclasses.replace(row, depth=0, units=(), widen_factor=1, groups=min(row.groups, 2), group_width=64), name
            )
    return list(kinds.values())


@pytest.mark.parametrize("name", one_of_each_kind())
def test_every_kind_of_network_computes_the_same_in_float64(name):
    """Two units a stage, the second without a projection: deeper networks have more of the same."""
    row = dataclasses.replace(VARIANTS[name], units=(2, 2, 2, 2))
    arguments = {"include_top": True, "input_tensor": None, "pooling": None, "classes": 5, "name": "kind"}
    options = ModelOptions(width_multiplier=0.125)
    model = scramble(build(row, options, input_shape=(64, 32, 3), classifier_activation=None, **arguments))
    assert difference(model) < EXACT
    assert difference(difficult(model)) < EXACT


@pytest.mark.parametrize("options", [{"output_stride": 2}, {"block": "bottleneck"}, {"stochastic_depth": 0.3}], ids=str)
def test_options_compute_the_same_in_float64(options):
    name = "ResNet56V2" if "block" in options else "ResNet20V2"
    assert difference(net(name, input_shape=(8, 8, 3), **options)) < EXACT


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "dropout(0.5)"])
@pytest.mark.parametrize("unit", UNITS)
def test_with_positive_gammas_only_convolutions_relus_and_additions_remain(unit, shortcut):
    remaining = operations(fold(net(unit=unit, shortcut=shortcut)))
    assert set(remaining) <= {"InputLayer", "Conv2D", "ReLU", "Add", "ZeroPadding2D", "GlobalAveragePooling2D", "Dense"}
    assert remaining["Add"] == 9


@pytest.mark.parametrize("name", ["ResNet18V2", "ResNet50V2", "ResNet50V2Timm"])
def test_with_positive_gammas_imagenet_networks_keep_no_norm(name):
    remaining = operations(fold(net(name, input_shape=(48, 32, 3), width_multiplier=0.125)))
    assert not {"BatchNormalization", "Rescaling", "add", "subtract", "multiply", "AveragePooling2D"} & set(remaining)


def test_a_negative_gamma_costs_a_multiplication_in_its_unit_alone():
    model = net()
    gamma = model.get_layer("stage2_unit2_norm1").gamma
    gamma.assign(gamma.numpy() * np.where(np.arange(32) == 5, -1, 1))
    remaining = operations(fold(model))
    assert remaining["multiply"] == 1
    assert remaining["add"] + remaining["subtract"] == 0, "the shift still rides"
    assert difference(model) < EXACT


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-8])
def test_a_tiny_gamma_costs_its_unit_alone_and_makes_no_huge_numbers(size):
    """Catches a channel whose shift, in the scale of its gamma, leaves the others of its tensor nothing of int8's 256 steps."""
    model = net()
    norm = model.get_layer("stage2_unit2_norm1")
    norm.gamma.assign(norm.gamma.numpy() * np.where(np.arange(32) == 5, size, 1))
    norm.beta.assign(np.where(np.arange(32) == 5, 0.3, norm.beta.numpy()))
    folded = fold(model)
    remaining = operations(folded)
    assert remaining["add"] + remaining["subtract"] == 1
    assert remaining["multiply"] == 1
    assert largest_number(folded) < 2 * largest_number(fold(net()))
    biases = [layer.bias.numpy() for layer in folded.layers if isinstance(layer, keras.layers.Conv2D)]
    assert max(np.abs(bias).max() for bias in biases) < 100
    assert difference(model) < EXACT


def largest_number(model):
    """The largest number in any tensor inside a model, on noise."""
    images = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype("float32")
    inside = keras.Model(model.inputs, [operation.output for operation in model.operations[1:]])
    return max(np.abs(output).max() for output in inside.predict(images, verbose=0))


def test_a_dead_channel_costs_nothing():
    """Weight decay leaves gammas of nearly zero with a negative beta: such a channel is zero for any input."""
    model = net()
    norm = model.get_layer("stage2_unit2_norm1")
    norm.gamma.assign(np.where(np.arange(32) == 5, 0, norm.gamma.numpy()))
    norm.beta.assign(np.where(np.arange(32) == 5, -0.1, norm.beta.numpy()))
    norm.moving_mean.assign(np.zeros(32))
    assert not {"add", "subtract", "multiply"} & set(operations(fold(model)))
    assert difference(model) < EXACT


def test_the_scaling_of_pixels_costs_a_subtraction():
    inputs = keras.Input((16, 12, 3))
    scaling = keras.layers.Rescaling((1 / 64, 1 / 32, 1 / 128), (-2.5, -2.0, -1.75))  # Keras keeps them in float32
    model = net(input_tensor=scaling(inputs))
    remaining = operations(fold(model))
    assert [remaining[kind] for kind in ("subtract", "add", "multiply", "Rescaling")] == [1, 0, 0, 0]
    assert difference(model) < EXACT


def test_layers_that_the_fold_does_not_know_stay_as_they_are():
    inputs = keras.Input((16, 12, 3))
    x = keras.layers.Conv2D(8, 3, activation="gelu")(inputs)
    x = keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(3)(x))
    x = keras.layers.PReLU(shared_axes=[1, 2])(x) + 1.0
    x = keras.layers.Concatenate()([x, keras.layers.LayerNormalization()(x)])
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(keras.layers.BatchNormalization()(x)))
    model = scramble(keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x)))
    assert difference(model) < EXACT


def after_a_nonlinear_convolution(x, end):
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, activation="relu")(x))
    return end(x)


GRAPHS = {  # small ones, from an image (N, 12, 12, 4) to a map
    "a norm after a ReLU, a convolution that pads": lambda x: after_a_nonlinear_convolution(
        x, layers.Conv2D(5, 3, padding="same")
    ),
    "a norm after a ReLU, padding": lambda x: after_a_nonlinear_convolution(x, layers.ZeroPadding2D(1)),
    "a norm after a ReLU, a product": lambda x: after_a_nonlinear_convolution(x, lambda x: layers.Multiply()([x, x])),
    "a mask": lambda x: layers.Multiply()([layers.BatchNormalization()(x), layers.Conv2D(1, 1, activation="sigmoid")(x)]),
    "a sum with a mask": lambda x: layers.Add()(
        [layers.ReLU()(layers.BatchNormalization()(x)), layers.Conv2D(1, 3, padding="same")(x)]
    ),
    "a mean over the other axes": lambda x: layers.Reshape((2, 2, -1))(
        layers.GlobalMaxPooling2D("channels_first", keepdims=True)(layers.BatchNormalization()(layers.ReLU()(x)))
    ),
    "a number for each image": lambda x: layers.Multiply()(
        [x, keras.ops.expand_dims(keras.ops.mean(layers.ReLU()(layers.BatchNormalization()(x)), axis=(1, 2, 3)), (1, 2, 3))]
    ),
    "a norm in training": lambda x: layers.BatchNormalization()(layers.Conv2D(4, 3)(x), training=True),
    "groups": lambda x: layers.BatchNormalization()(
        layers.Conv2D(6, 3, groups=2)(layers.ReLU()(layers.BatchNormalization()(x)))
    ),
    "groups of a shifted sum": lambda x: layers.Conv2D(6, 3, groups=2)(layers.Add()([x, layers.BatchNormalization()(x)])),
    "padded groups of a shifted sum, strided": lambda x: layers.BatchNormalization()(
        layers.Conv2D(8, 3, strides=2, padding="same", groups=4)(layers.Add()([x, layers.BatchNormalization()(x)]))
    ),
    "channels of zeros after groups": lambda x: layers.BatchNormalization()(
        layers.ZeroPadding2D(((0, 0), (1, 2)), "channels_first")(layers.Conv2D(6, 3, groups=2)(x))
    ),
    "groups with an activation": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3, groups=2, activation="gelu")(x)),
    "padded pooling after a shift": lambda x: layers.AveragePooling2D(3, 1, padding="same")(layers.BatchNormalization()(x)),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_graphs_that_no_residual_network_has_compute_the_same_in_float64(graph):
    inputs = keras.Input((12, 12, 4))
    x = GRAPHS[graph](layers.Conv2D(4, 1)(inputs))
    model = scramble(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))
    assert difference(model) < EXACT
    for seed in range(5):
        assert difference(difficult(model, seed)) < EXACT


def test_groups_stay_groups_and_do_not_ask_for_xla():
    """One convolution, with its norms inside, and not Keras' own layer, which only runs where XLA does."""
    inputs = keras.Input((12, 12, 4))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, groups=2, use_bias=False)(inputs))
    x = layers.Conv2D(8, 3, groups=4, activation="gelu", name="unfolded")(layers.ReLU()(x))
    folded = fold(scramble(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))))
    convolutions = [layer for layer in folded.layers if isinstance(layer, layers.Conv2D)]
    assert [layer.groups for layer in convolutions] == [2, 4]
    assert {type(layer) for layer in convolutions} == {Conv2D}
    assert operations(folded)["BatchNormalization"] == 0


def test_outputs_inside_the_network_are_the_originals_themselves(rng):
    """Not with the factor and the shift that the skip path carries, nor taken away by the norm that absorbs a convolution."""
    model = in_float64(scramble(keras_resnet.ResNet20V2(input_shape=(8, 8, 3), classifier_activation=None)))
    names = ("stage1_unit1_conv1", "stage1_unit2_add", "stage2_unit1_relu1", "head_relu", "head_pool", "head_dense")
    model = keras.Model(model.input, {name: model.get_layer(name).output for name in names})
    images = rng.normal(size=(2, 8, 8, 3)).astype("float32").astype("float64")
    expected, found = model(images), fold(model, "float64")(images)
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], atol=EXACT * np.abs(expected[name]).max(), err_msg=name)


def test_a_layer_that_derives_numbers_from_its_statistics_derives_them_anew(rng):
    """`Normalization`, as in EfficientNet, keeps what it divides by next to its weights."""
    inputs, adapted = keras.Input((6, 6, 3)), layers.Normalization()
    images = rng.normal(5, 3, (4, 6, 6, 3)).astype("float32")
    adapted.adapt(images)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(adapted(inputs))))
    expected = model.predict(images, verbose=0)
    for copy in (fold(model), keras_resnet.to_stock(model)):
        np.testing.assert_allclose(copy.predict(images, verbose=0), expected, atol=1e-4)


def test_a_layer_that_is_called_twice_keeps_its_weights():
    inputs = keras.Input((8, 8, 4))
    conv, norm = keras.layers.Conv2D(4, 3, padding="same"), keras.layers.BatchNormalization()
    x = keras.layers.ReLU()(norm(conv(keras.layers.ReLU()(norm(conv(inputs))))))
    model = scramble(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)))
    assert difference(model) < EXACT


@pytest.mark.parametrize("model", [keras.Sequential([keras.layers.Dense(2)]), keras.Model()], ids=["unbuilt", "subclass"])
def test_a_model_without_a_graph_is_refused(model):
    with pytest.raises(UserError, match="only functional models with one input"):
        fold(model)
