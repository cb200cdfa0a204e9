"""Catches a stem, projection, filter, attention or normalization that is not the one of its source."""

import keras
import numpy as np
import pytest
from conftest import gradients, scramble
from saved_networks import assert_rebuilds

import keras_resnet
from keras_resnet import UserError
from keras_resnet.graph import strides
from keras_resnet.models import antialiasing, attention, normalizations, variants
from keras_resnet.models.builder import build
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.stems import STEMS
from keras_resnet.models.variants import Variant

# Small networks that have each value of each column between them.
NETWORKS = {
    "deep, avg_pool, blur, se": {"stem": "deep", "projection": "avg_pool", "antialias": "blur", "attention": "se"},
    "tiered, avg, eca": {"stem": "tiered", "antialias": "avg", "attention": "eca"},
    "wide": {"stem": "wide"},
    "rs, avg_pool, se(0.25), group": {
        "stem": "rs", "projection": "avg_pool", "attention": "se(0.25)", "normalization": "group",
    },
    "rs, blur": {"stem": "rs", "antialias": "blur"},
    "imagenet, blur": {"stem": "imagenet", "antialias": "blur"},
    "bit, group_standardized": {"stem": "bit", "unit": "full_preactivation", "normalization": "group_standardized"},
    "timm_deep, avg_pool": {"stem": "timm_deep", "unit": "full_preactivation", "projection": "avg_pool", "antialias": "blur"},
    "timm_tiered, eca": {"stem": "timm_tiered", "unit": "full_preactivation", "attention": "eca", "normalization": "group"},
}  # fmt: skip


def small(name, **options):
    return keras_resnet.ResNet20V1(**{"shortcut": "B", "input_shape": (32, 32, 3), "classes": 3, **NETWORKS[name], **options})


def grouped(**options):
    """A narrow ResNeXt: two groups of four channels in the first stage."""
    arguments = {"include_top": True, "input_tensor": None, "pooling": None, "classes": 3, "name": "grouped"}
    row = Variant("imagenet", 14, "bottleneck", "original", "B", stride_on="3x3", groups=2, group_width=32)
    options = {"width_multiplier": 0.125, **options}
    return build(row, ModelOptions(**options), input_shape=(32, 32, 3), classifier_activation=None, **arguments)


def test_the_table_of_small_networks_has_every_value_of_every_column():
    for column, values in {
        # Others have tests of their own: of the papers' networks, and of TensorFlow's.
        "stem": set(variants.STEM_NAMES) - {"cifar", "slim", "timm", "slim_v1", "slim_v2", "garden", "garden_2019"},
        "projection": {"avg_pool"},
        "antialias": set(antialiasing.ANTIALIASING) - {"none"},
        "attention": {"se", "se(0.25)", "eca"},
        "normalization": set(normalizations.NORMALIZATIONS) - {"batch"},
    }.items():
        found = {row.get(column) for row in NETWORKS.values()}
        assert values <= found, column
    assert tuple(STEMS) == variants.STEM_NAMES


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_weight(name, rng):
    model = scramble(small(name, classifier_activation=None))
    for weight, gradient in gradients(model, rng.normal(size=(4, 32, 32, 3))):
        assert np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_rebuilds_to_the_same_function(name, rng, tmp_path):
    assert_rebuilds(lambda: small(name), rng, tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_stock_layers_load_without_this_package(name, tmp_path):
    stock = keras_resnet.to_stock(small(name))
    assert not [layer for layer in stock.layers if type(layer).__module__.startswith("keras_resnet")]
    stock.save(tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras").count_params() == stock.count_params()


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_are_cut_out_at_their_strides_whatever_reduces_the_resolution(name):
    parts = keras_resnet.backbone(small(name))
    assert parts.strides == {"stage1": 4, "stage2": 8, "stage3": 16}
    assert [feature.shape[1] for feature in parts.model.output.values()] == [8, 4, 2]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_dilated_network_has_the_weights_of_the_strided_one_and_its_resolution(name):
    model, strided = small(name, output_stride=8), small(name)
    assert [w.shape for w in model.weights] == [w.shape for w in strided.weights]
    assert keras_resnet.backbone(model).strides["stage3"] == 8
    assert model.get_layer("head_pool").input.shape[1:3] == (4, 4)


def applied(function, shape):
    """A model of the function alone."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_blur_is_the_binomial_filter_at_reflected_edges(size, stride, rng):
    x = rng.normal(size=(1, size, size, 2)).astype("float32")
    y = applied(lambda inputs: antialiasing.blur(inputs, stride, name="blur"), x.shape[1:])(x)
    padded, filter_ = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"), np.outer((1, 2, 1), (1, 2, 1)) / 16
    shifted = [filter_[i, j] * padded[:, i : i + size, j : j + size] for i in range(3) for j in range(3)]
    np.testing.assert_allclose(y, sum(shifted)[:, ::stride, ::stride], atol=1e-6)


def test_squeeze_and_excitation_multiplies_each_channel_by_its_own_number(rng):
    x = rng.normal(size=(2, 4, 4, 64)).astype("float32")
    model = scramble(applied(lambda inputs: attention.squeeze_excite(inputs, ratio=1 / 16, name="unit"), x.shape[1:]))
    reduce, expand = ([np.asarray(w) for w in model.get_layer(f"unit_se_{name}").weights] for name in ("reduce", "expand"))
    assert reduce[0].shape == (1, 1, 64, 8)
    squeezed = np.maximum(x.mean((1, 2)) @ reduce[0][0, 0] + reduce[1], 0)
    gates = 1 / (1 + np.exp(-(squeezed @ expand[0][0, 0] + expand[1])))
    np.testing.assert_allclose(model(x), x * gates[:, np.newaxis, np.newaxis], atol=1e-5)


def test_efficient_attention_convolves_the_means_of_neighbouring_channels(rng):
    x = rng.normal(size=(2, 4, 4, 64)).astype("float32")
    model = applied(lambda inputs: attention.efficient_channel_attention(inputs, name="unit"), x.shape[1:])
    kernel, means = np.asarray(model.get_layer("unit_eca_conv").kernel).ravel(), x.mean((1, 2))
    gates = [1 / (1 + np.exp(-np.correlate(row, kernel, "same"))) for row in means]
    np.testing.assert_allclose(model(x), x * np.array(gates)[:, np.newaxis, np.newaxis], atol=1e-5)


@pytest.mark.parametrize(("channels", "size"), [(16, 3), (64, 3), (256, 5), (512, 5), (1024, 5), (2048, 7)])
def test_the_kernel_of_eca_grows_with_the_logarithm_of_the_channels(channels, size):
    model = applied(lambda inputs: attention.efficient_channel_attention(inputs, name="unit"), (2, 2, channels))
    assert model.get_layer("unit_eca_conv").kernel.shape == (size, 1, 1)


def test_standardized_kernels_have_mean_0_and_variance_1_for_each_filter_and_become_constants(rng):
    model = scramble(small("bit, group_standardized"))
    stock = keras_resnet.to_stock(model)
    for layer in model.layers:
        if "_conv" in layer.name and hasattr(layer, "kernel"):
            kernel = np.asarray(stock.get_layer(layer.name).kernel)
            np.testing.assert_allclose(kernel.mean((0, 1, 2)), 0, atol=1e-5)
            np.testing.assert_allclose(kernel.var((0, 1, 2)), 1, atol=1e-3)
            assert np.abs(kernel - np.asarray(layer.kernel)).max() > 0.1, f"{layer.name} was standardized before"


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (16, 1), (32, 32), (48, 3), (64, 32), (192, 32), (40, 2), (56, 1)])
def test_group_norms_have_32_groups_or_groups_of_16_channels(channels, groups):
    model = applied(lambda inputs: normalizations.get_normalization("group").norm(inputs, name="norm"), (2, 2, channels))
    assert model.get_layer("norm").groups == groups


def test_groups_read_the_channels_of_their_own_group_only(rng):
    model = grouped()
    assert [model.get_layer(f"stage{stage}_unit1_conv2").kernel.shape for stage in (1, 4)] == [(3, 3, 4, 8), (3, 3, 32, 64)]
    for weight, gradient in gradients(scramble(model), rng.normal(size=(4, 32, 32, 3))):
        assert np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("stem", "deap", "unknown stem 'deap'; the stems are cifar, imagenet, deep"),
        ("projection", "pool", "unknown projection 'pool'; the projections are 1x1, avg_pool"),
        ("antialias", "gauss", "unknown antialias filter 'gauss'; the antialias filters are none, blur, avg"),
        ("attention", "se(2)", r"attention 'se\(2\)': the ratio is at least 0 and below"),
        ("attention", "cbam", "unknown attention 'cbam'"),
        ("normalization", "layer", "unknown normalization 'layer'; the normalizations are batch, group, group_standardized"),
        ("stem", "bit", "the bit stem has units of order full_preactivation only, not original"),
    ],
)
def test_a_value_that_there_is_not_is_refused_with_those_that_there_are(column, value, message):
    with pytest.raises(UserError, match=message):
        keras_resnet.ResNet20V1(**{column: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"stem": "wide", "shortcut": "A"},
            "stage1_unit1_shortcut would leave out channels: the skip path has 32, and its stage 16",
        ),
        (
            {"stem": "imagenet", "antialias": "avg", "input_shape": (100, 100, 3)},
            "antialias='avg' needs images whose sides are",
        ),
        (
            {"stem": "imagenet", "antialias": "avg", "input_shape": (1, 1, 3)},
            "the images are too small: stem_pool reads feature",
        ),
        (
            {"stem": "imagenet", "antialias": "blur", "input_shape": (1, 1, 3)},
            "the images are too small: a filter at reflected",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(options, message):
    with pytest.raises(UserError, match=message):
        keras_resnet.ResNet20V1(**{"shortcut": "B", "attention": "none", **options})


def test_strides_are_known_behind_operations_that_are_no_layers():
    model = small("imagenet, blur")
    assert strides(model)["head_pool"] == 16
