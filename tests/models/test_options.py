"""Catches an option that does not do what its paper says, or not together with the others."""

import itertools

import keras
import numpy as np
import pytest
from conftest import count, gradients, scramble

import keras_resnet
from keras_resnet import UserError


def wide_resnet_parameters(n, k, classes=10):
    """By the paper's Table 1: conv1, three groups of n units of two 3x3 with widths 16k, 32k and 64k, each norm in front."""
    skip = [16] + [width * k for width in (16, 32, 64) for _ in range(n)]  # as it enters each unit, and after the last
    total = 27 * 16 + 2 * skip[-1] + skip[-1] * classes + classes  # conv1, the last norm, the classifier
    for before, width in itertools.pairwise(skip):
        total += 2 * before + 9 * before * width + 2 * width + 9 * width * width
        total += before * width if before != width else 0
    return total


def test_the_width_multiplier_leaves_the_stem_and_widens_the_stages_as_wide_resnets_do():
    model = keras_resnet.WideResNet16_8(width_multiplier=0.5)
    assert count(model.trainable_weights) == wide_resnet_parameters(n=2, k=4)
    assert count(keras_resnet.WideResNet16_8().trainable_weights) == wide_resnet_parameters(n=2, k=8)
    assert model.get_layer("stem_conv").filters == 16


def test_a_narrow_networks_stem_is_as_narrow_as_its_first_stage():
    model = keras_resnet.ResNet20V1(width_multiplier=0.25)
    assert [model.get_layer(name).filters for name in ("stem_conv", "stage1_unit1_conv1", "stage3_unit1_conv1")] == [4, 4, 16]


def rates(model):
    return [layer.rate for layer in model.layers if layer.name.endswith("_drop")]


def test_stochastic_depth_decays_linearly_to_the_last_unit():
    np.testing.assert_allclose(rates(keras_resnet.ResNet20V2(stochastic_depth=0.5)), [0.5 * unit / 9 for unit in range(1, 10)])
    assert rates(keras_resnet.ResNet20V2()) == []


def test_stochastic_depth_leaves_whole_branches_out_and_scales_those_that_stay(rng):
    model = scramble(keras_resnet.ResNet20V2(stochastic_depth=0.9, input_shape=(8, 8, 3)))
    model.trainable = False  # the norms as in inference, the dropping as in training
    names = ("stage3_unit2_add", "stage3_unit3_conv2", "stage3_unit3_add")
    probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
    skip, branch, total = map(np.asarray, probe(rng.normal(size=(64, 8, 8, 3)), training=True))
    kept = [not np.array_equal(a, b) for a, b in zip(skip, total, strict=True)]
    assert 1 <= sum(kept) <= 20
    np.testing.assert_allclose(total[kept], skip[kept] + branch[kept] / (1 - 0.9), rtol=1e-3, atol=1e-3)
    skip, branch, total = map(np.asarray, probe(rng.normal(size=(4, 8, 8, 3))))
    np.testing.assert_allclose(total, skip + branch, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ResNet20V1", "original"),
        ("ResNet20V1", "bn_after_addition"),
        ("ResNet20V1", "relu_only_preactivation"),
        ("ResNet20V2", "full_preactivation"),
        ("ResNet50V1_5", "original"),
    ],
)
def test_zero_init_makes_every_branch_nothing_and_lets_it_learn(name, unit, rng):
    model = getattr(keras_resnet, name)(
        unit=unit, zero_init_residual=True, input_shape=(32, 32, 3), classes=3, classifier_activation=None
    )
    units = sorted({layer.name.rsplit("_", 1)[0] for layer in model.layers if layer.name.endswith("_add")})
    adds = [model.get_layer(f"{unit}_add") for unit in units]
    branches = keras.Model(model.input, [add.input[1] for add in adds])(rng.normal(size=(2, 32, 32, 3)), training=True)
    for branch in branches:
        assert not np.any(branch)
    learning = {w.path.rsplit("_", 1)[0] for w, g in gradients(model, rng.normal(size=(2, 32, 32, 3))) if np.abs(g).max() > 0}
    assert set(units) <= learning


STRIDES = [
    ("ResNet20V1", (1, 2)),
    ("ResNet20V2", (2,)),
    ("WideResNet16_8", (2,)),
    ("ResNet18V1", (8, 16)),
    ("ResNet50V1_5", (8,)),
    ("ResNet50V1", (16,)),
    ("ResNet18V2", (8,)),
    ("ResNet50V2Slim", (8, 16)),
    ("ResNet50V2Timm", (8,)),
]


@pytest.mark.parametrize(("name", "output_stride"), [(name, stride) for name, strides in STRIDES for stride in strides])
def test_a_dilated_network_computes_densely_what_the_strided_one_does_sparsely(name, output_stride, rng):
    """Atrous convolution: every (own / output_stride)-th pixel of its map is a pixel of the other."""
    options = {"include_top": False, "input_shape": (None, None, 3), "width_multiplier": 0.25}
    strided = scramble(getattr(keras_resnet, name)(**options))
    dilated = getattr(keras_resnet, name)(output_stride=output_stride, **options)
    dilated.set_weights(strided.get_weights())
    x = rng.normal(size=(1, 64, 96, 3)).astype("float32")
    sparse, dense = np.asarray(strided(x)), np.asarray(dilated(x))
    assert dense.shape[1:3] == (64 // output_stride, 96 // output_stride)
    step = dense.shape[1] // sparse.shape[1]
    np.testing.assert_allclose(dense[:, ::step, ::step], sparse, rtol=1e-3, atol=1e-4 * np.abs(sparse).max())


def test_dropout_is_in_front_of_the_classifier():
    model = keras_resnet.ResNet20V1(classifier_dropout=0.3)
    dropout = model.get_layer("head_dropout")
    assert dropout.rate == 0.3
    assert model.get_layer("head_dense").input is dropout.output


ALL = {"width_multiplier": 0.5, "stochastic_depth": 0.3, "zero_init_residual": True, "classifier_dropout": 0.2}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ResNet20V1", {"output_stride": 2, "unit": "bn_after_addition", "shortcut": "exclusive_gating"}),
        ("ResNet20V2", {"output_stride": 1, "shortcut": "dropout", "block": "bottleneck"}),
        ("ResNet18V1", {"output_stride": 8, "unit": "relu_only_preactivation", "shortcut": "C"}),
        ("ResNet50V2Slim", {"output_stride": 16}),
        ("WideResNet16_8", {"output_stride": 2, "shortcut": "constant_scaling"}),
    ],
)
def test_all_options_work_together_on_images_of_any_size_and_survive_a_file(name, options, rng, tmp_path):
    model = getattr(keras_resnet, name)(input_shape=(None, None, 4), classes=3, **ALL, **options)
    scramble(model)
    x = rng.normal(size=(2, 33, 47, 4)).astype("float32")
    assert np.all(np.isfinite(model(x, training=True)))
    model.save(tmp_path / "m.keras")
    np.testing.assert_allclose(keras_resnet.load_model(tmp_path / "m.keras")(x), model(x), rtol=1e-4, atol=1e-5)
    backbone = keras_resnet.backbone(model)
    assert {feature.shape[-1] for feature in backbone.model(x).values()} == set(backbone.channels.values())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ResNet20V2", {"width_multiplier": 0}, "width_multiplier is 0; it is a number above 0"),
        ("ResNet20V2", {"width_multiplier": "2"}, "width_multiplier is '2'"),
        ("ResNet20V2", {"stochastic_depth": 1}, "stochastic_depth is 1; it is at least 0 and below 1"),
        ("ResNet20V2", {"classifier_dropout": -0.1}, "classifier_dropout is -0.1"),
        ("ResNet20V2", {"zero_init_residual": "no"}, "zero_init_residual is 'no'; it is True or False"),
        ("ResNet20V2", {"output_stride": 8}, "output_stride is 8; for this network it is one of 1, 2, 4"),
        ("ResNet50V1", {"output_stride": 2}, "output_stride is 2; for this network it is one of 8, 16, 32"),
        ("PlainNet20", {"stochastic_depth": 0.1}, "stochastic_depth needs a shortcut"),
        ("PlainNet20", {"zero_init_residual": True}, "zero_init_residual needs a shortcut"),
        ("ResNet20V1", {"zero_init_residual": True, "unit": "relu_before_addition"}, "a ReLU at zero passes no gradient"),
        ("ResNet50V2Slim", {"unit": "original"}, "the slim stem has units of order full_preactivation only"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(name, options, message):
    with pytest.raises(UserError, match=message):
        getattr(keras_resnet, name)(**options)
