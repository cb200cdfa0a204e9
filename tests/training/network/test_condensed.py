"""Catches a condensed network that begins with other weights than the whole one, and units taken for alike that are not."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_resnet.models import builder, variants
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.orders import ORDERS
from keras_resnet.models.shortcuts import SHORTCUTS
from keras_resnet.models.unit_specs import unit_runs
from keras_resnet.training.network.condensed import Condenser

QUARTER = ModelOptions(width_multiplier=0.25)


def built(name, options=QUARTER, image_size=8, seed=3, *, condenser=None, **variations):
    keras.utils.set_random_seed(seed)
    return builder.build(
        variants.with_overrides(variants.get_variant(name), **variations),
        options,
        include_top=True,
        input_tensor=None,
        input_shape=(image_size, image_size, 3),
        pooling=None,
        classes=10,
        classifier_activation=None,
        name="network",
        **({"add_units": condenser.add_units} if condenser else {}),
    )


def weights_of(model):
    """By layer and index."""
    return {(layer.name, index): value for layer in model.layers for index, value in enumerate(layer.get_weights())}


def weights_of_condensed(model, runs):
    """The same of the whole network, from the one unit of each run and the initializers of the others."""
    found = weights_of(model)
    for run in runs:
        for layer in run.unit.layers:
            for index, variable in enumerate(layer.weights):
                for name, value in zip(run.layer_names(layer), run.initial_values(variable), strict=True):
                    found[name, index] = value
    return found


def assert_same_beginning(*arguments, **options):
    whole = weights_of(built(*arguments, **options))
    condenser = Condenser()
    condensed = weights_of_condensed(built(*arguments, **options, condenser=condenser), condenser.runs)
    assert condensed.keys() == whole.keys()
    for place, value in whole.items():
        np.testing.assert_array_equal(condensed[place], value, err_msg=str(place))


@pytest.mark.parametrize("unit", ORDERS)
def test_every_order_begins_with_the_same_bits(unit):
    """Catches initializers that are asked in another order than that of the whole network."""
    assert_same_beginning("ResNet32V2", unit=unit)


@pytest.mark.parametrize(
    "columns",
    [
        {"attention": "se", "antialias": "blur", "projection": "avg_pool", "stem": "deep"},
        {"attention": "eca", "normalization": "group", "antialias": "avg", "stem": "rs"},
        {"normalization": "group_standardized", "stem": "bit", "unit": "full_preactivation"},
    ],
    ids=str,
)
def test_every_column_begins_with_the_same_bits(columns):
    """Catches kernels of attention that are drawn before those of its branch."""
    assert_same_beginning("ResNet32V1", shortcut="B", image_size=32, **columns)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("name", ["ResNet20V1", "ResNet20V2"])
def test_every_shortcut_begins_with_the_same_bits(name, shortcut):
    """Catches kernels of a shortcut that change places with those of its branch, and seeds of its dropout left undrawn."""
    assert_same_beginning(name, shortcut=shortcut)


@pytest.mark.parametrize("zero_init_residual", [False, True])
@pytest.mark.parametrize("name", ["ResNet20V1", "ResNet20V2"])
def test_dropouts_draw_their_seeds(name, zero_init_residual):
    """Stochastic depth and the classifier's dropout take numbers of the global generator too: what comes after them moves."""
    options = dataclasses.replace(QUARTER, stochastic_depth=0.3, classifier_dropout=0.2, zero_init_residual=zero_init_residual)
    assert_same_beginning(name, options)
    assert_same_beginning(name, options, shortcut="dropout")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ResNet50V2Slim", {}),
        ("ResNet50V1_5", {"output_stride": 8}),
        ("ResNet50V2", {"output_stride": 16}),
        ("ResNet164V2", {}),
    ],
)
def test_bottlenecks_begin_with_the_same_bits(name, options):
    assert_same_beginning(name, ModelOptions(width_multiplier=0.125, **options), 32)


def test_another_seed_is_another_beginning():
    """Otherwise the tests above would show nothing."""
    one, other = (weights_of(built("ResNet20V2", seed=seed)) for seed in (3, 4))
    assert not np.allclose(one["stage3_unit3_conv2", 0], other["stage3_unit3_conv2", 0])


def names_of_runs(name, options=QUARTER):
    """Stage by stage, the numbers of the units in each run."""
    runs = unit_runs(variants.get_variant(name), options)
    stages = sorted({run[0].stage for run in runs})
    return [[[spec.index for spec in run] for run in runs if run[0].stage == stage] for stage in stages]


def test_a_run_is_a_stage_without_its_first_unit():
    assert names_of_runs("ResNet32V2") == [[[1], [2, 3, 4, 5]]] * 3


def test_a_strided_last_unit_is_not_like_the_others():
    assert names_of_runs("ResNet50V2Slim") == [[[1], [2], [3]], [[1], [2, 3], [4]], [[1], [2, 3, 4, 5], [6]], [[1], [2, 3]]]


def test_units_of_another_dilation_are_not_alike():
    """The first unit of a stage whose stride became a dilation is dilated in its later convolutions only."""
    runs = unit_runs(variants.get_variant("ResNet50V1_5"), ModelOptions(output_stride=8))
    found = [{(spec.stage, *spec.dilations) for spec in run} for run in runs if run[0].stage >= 3]
    assert found == [{(3, 1, 2)}, {(3, 2, 2)}, {(4, 2, 4)}, {(4, 4, 4)}]


def test_drop_rates_rise_through_the_runs():
    """Eq. 4 of the paper: unit l of L has the rate l/L times the last one's, wherever it stands in its run."""
    runs = unit_runs(variants.get_variant("ResNet32V2"), ModelOptions(stochastic_depth=0.6))
    rates = [spec.drop_rate for run in runs for spec in run]
    assert rates == pytest.approx([0.6 * unit / 15 for unit in range(1, 16)])


def test_layers_are_named_as_in_the_whole_network():
    condenser = Condenser()
    model = built("ResNet32V2", condenser=condenser)
    names = {name for run in condenser.runs for layer in run.unit.layers for name in run.layer_names(layer) if layer.weights}
    whole = {layer.name for layer in built("ResNet32V2").layers if layer.weights}
    assert names == {name for name in whole if name.startswith("stage")}
    assert len([layer for layer in model.layers if layer.name.startswith("stage2_unit")]) < 20
    assert condenser.runs[3].layer_names(model.get_layer("stage2_unit2_conv1")) == [
        f"stage2_unit{unit}_conv1" for unit in (2, 3, 4, 5)
    ]
