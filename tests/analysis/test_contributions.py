"""Catches sums that are not the network's own, and a plain network that is said to have a skip path."""

import keras
import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet.analysis import unit_contributions

SHAPE = (8, 8, 3)
RESIDUAL = ("full_preactivation", "relu_only_preactivation", "relu_before_addition")


@pytest.fixture
def images(rng):
    return rng.normal(size=(3, *SHAPE)).astype("float32")


def network(name="ResNet20V2", **options):
    return scramble(getattr(keras_resnet, name)(input_shape=SHAPE, include_top=False, **options))


def outputs_of(model, images, *names):
    """The values of layers, by Keras' own functional model."""
    return [np.asarray(value) for value in keras.Model(model.input, [model.get_layer(n).output for n in names])(images)]


def mean_norm(array):
    return np.sqrt(np.square(array.astype("float64")).sum(axis=(1, 2, 3))).mean()


@pytest.mark.parametrize("unit", RESIDUAL)
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_what_leaves_a_stage_is_not_what_entered_it_plus_all_branches(unit, block, images):
    """Catches a branch before its scaling, or a skip path of another unit: the sum is the network's own, to the bit."""
    model = network("ResNet56V2", unit=unit, block=block, stochastic_depth=0.3)
    found = unit_contributions(model, images)
    assert found.deviations == (0.0,) * len(found.units)
    assert found.sums == found.outputs
    assert [name for name, starts in zip(found.units, found.starts, strict=True) if starts] == [
        f"stage{stage}_unit1" for stage in (1, 2, 3)
    ]


def test_the_rest_of_a_stage_is_not_the_difference_of_its_ends(images):
    """Independent of how the units are followed: x_L - x_l is the sum of what Keras' own model computes on the branches."""
    model = network("ResNet20V2")
    first, last, *branches = outputs_of(
        model, images, "stage2_unit1_add", "stage2_unit3_add", "stage2_unit2_conv2", "stage2_unit3_conv2"
    )
    np.testing.assert_allclose(last - first, sum(branches), atol=1e-5)
    found = unit_contributions(model, images)
    np.testing.assert_allclose(found.branches[4:6], [mean_norm(branch) for branch in branches], rtol=1e-5)
    np.testing.assert_allclose(found.inputs[4], mean_norm(first), rtol=1e-5)
    np.testing.assert_allclose(found.outputs[5], mean_norm(last), rtol=1e-5)


def test_a_ratio_or_cosine_is_of_other_paths(images):
    model = network("ResNet20V1", shortcut="B")
    found = unit_contributions(model, images)
    names = (
        "stage1_unit3_relu2",
        "stage2_unit1_norm2",
        "stage2_unit1_shortcut_norm",
        "stage2_unit2_norm2",
        "stage2_unit1_relu2",
    )
    values = [value.reshape(3, -1).astype("float64") for value in outputs_of(model, images, *names)]
    x, branch, shortcut, second, second_x = values
    norm = np.linalg.norm
    np.testing.assert_allclose(found.ratios[3], (norm(branch, axis=1) / norm(x, axis=1)).mean(), rtol=1e-5)
    np.testing.assert_allclose(found.shortcuts[3], norm(shortcut, axis=1).mean(), rtol=1e-5)
    cosines = [(a @ b) / (norm(a) * norm(b)) for a, b in zip(branch, shortcut, strict=True)]
    np.testing.assert_allclose(found.cosines[3], np.mean(cosines), rtol=1e-4)
    cosines = [(a @ b) / (norm(a) * norm(b)) for a, b in zip(second, second_x, strict=True)]
    np.testing.assert_allclose(found.cosines[4], np.mean(cosines), rtol=1e-4)
    assert found.starts[3:5] == (True, False)


def test_the_relu_of_v1_goes_unnoticed(images):
    model = network("ResNet20V1")
    found = unit_contributions(model, images)
    assert min(found.deviations) > 0.01
    total, output = outputs_of(model, images, "stage1_unit1_add", "stage1_unit1_relu2")
    deviation = [np.linalg.norm(y - s) / np.linalg.norm(s) for y, s in zip(output, total, strict=True)]
    np.testing.assert_allclose(found.deviations[0], np.mean(deviation), rtol=1e-4)


@pytest.mark.parametrize("shortcut", ["constant_scaling", "exclusive_gating", "shortcut_only_gating", "C"])
def test_a_sum_goes_on_where_the_skip_path_is_changed(shortcut, images):
    found = unit_contributions(network(shortcut=shortcut), images)
    assert all(found.starts)
    np.testing.assert_allclose(found.sums, found.outputs)


def test_a_plain_network_has_a_skip_path(images):
    model = network("PlainNet20")
    found = unit_contributions(model, images)
    for values in (found.shortcuts, found.ratios, found.cosines, found.sums, found.deviations):
        assert values == (None,) * 9
    assert found.branches == found.outputs
    assert found.inputs[1:] == found.outputs[:-1]
    assert found.plot()


def test_a_branch_of_zeros_has_an_angle(images):
    """Also: the network as it is built has branches that are zero, and no warning and no NaN comes of it."""
    model = keras_resnet.ResNet20V2(input_shape=SHAPE, include_top=False, zero_init_residual=True)
    found = unit_contributions(model, images)
    assert found.cosines == (None,) * 9
    assert found.ratios == (0.0,) * 9


def test_training_mode_is_ignored_or_changes_the_statistics(images):
    model = network()
    before = [np.array(weight) for weight in model.weights]
    assert unit_contributions(model, images, training=True) != unit_contributions(model, images)
    assert all((old == new).all() for old, new in zip(before, map(np.array, model.weights), strict=True))
    add = unit_contributions(model, images, training=True).outputs[1]
    with keras.StatelessScope():
        (expected,) = [keras.Model(model.input, model.get_layer("stage1_unit2_add").output)(images, training=True)]
    np.testing.assert_allclose(add, mean_norm(np.asarray(expected)), rtol=1e-5)
