"""Catches a unit whose operations are not in the order of the paper's figure, on either of its paths."""

import numpy as np
import pytest
from conftest import gradients, paths, scramble
from saved_networks import assert_rebuilds

import keras_resnet
from keras_resnet.models.orders import ORDERS

# fmt: off
# He et al. 2016, Figure 4, and Figure 5 left of the appendix: branch and shortcut from the skip path to the end of the unit.
IDENTITY_UNITS = {
    ("original", "basic"):                     ("conv norm relu conv norm add relu", "add relu"),
    ("bn_after_addition", "basic"):            ("conv norm relu conv add norm relu", "add norm relu"),
    ("relu_before_addition", "basic"):         ("conv norm relu conv norm relu add", "add"),
    ("relu_only_preactivation", "basic"):      ("relu conv norm relu conv norm add", "add"),
    ("full_preactivation", "basic"):           ("norm relu conv norm relu conv add", "add"),
    ("original", "bottleneck"):                ("conv norm relu conv norm relu conv norm add relu", "add relu"),
    ("bn_after_addition", "bottleneck"):       ("conv norm relu conv norm relu conv add norm relu", "add norm relu"),
    ("relu_before_addition", "bottleneck"):    ("conv norm relu conv norm relu conv norm relu add", "add"),
    ("relu_only_preactivation", "bottleneck"): ("relu conv norm relu conv norm relu conv norm add", "add"),
    ("full_preactivation", "bottleneck"):      ("norm relu conv norm relu conv norm relu conv add", "add"),
}
# Units that change the shape project the pre-activation that both paths share, with a norm where the branch ends in one.
PROJECTION_SHORTCUTS = {
    "original": "conv norm add relu",
    "bn_after_addition": "conv add norm relu",
    "relu_before_addition": "conv norm add",
    "relu_only_preactivation": "relu conv norm add",
    "full_preactivation": "norm relu conv add",
}
# 2016, section 5, "The first/last Residual Units": what is between the image and the first unit, and after the last addition.
ENDS = {
    "original":                ("conv norm relu", ""),
    "bn_after_addition":       ("conv norm relu", ""),
    "relu_before_addition":    ("conv norm relu", ""),
    "relu_only_preactivation": ("conv norm relu", "relu"),
    "full_preactivation":      ("conv norm relu", "norm relu"),
}
# fmt: on
CASES = sorted(IDENTITY_UNITS)


def build(order, block, **options):
    return keras_resnet.ResNet20V1(unit=order, block=block, shortcut="B", **{"input_shape": (8, 8, 3), "classes": 3, **options})


def end_of_unit(model, unit):
    """The layer whose output is the skip path after the unit: the last that has the unit's name and is on no branch."""
    names = [layer.name for layer in model.layers if layer.name.startswith(f"{unit}_")]
    return names[-1]


@pytest.mark.parametrize(("order", "block"), CASES)
def test_both_paths_of_a_unit_are_the_figures(order, block):
    model = build(order, block)
    start, end = end_of_unit(model, "stage1_unit1"), end_of_unit(model, "stage1_unit2")
    assert paths(model, start, end) == sorted(IDENTITY_UNITS[order, block])


@pytest.mark.parametrize(("order", "block"), CASES)
def test_a_unit_that_changes_the_shape_projects_what_its_branch_reads(order, block):
    model = build(order, block)
    start = end_of_unit(model, "stage1_unit2" if block == "bottleneck" else "stage1_unit3")
    expected = [IDENTITY_UNITS[order, block][0], PROJECTION_SHORTCUTS[order]]
    assert paths(model, start, end_of_unit(model, "stage2_unit1")) == sorted(expected)


@pytest.mark.parametrize(("order", "block"), CASES)
def test_the_first_unit_takes_the_stems_activation_and_one_more_follows_the_last(order, block):
    model = build(order, block)
    stem, end = ENDS[order]
    units = 2 if block == "bottleneck" else 3
    branch, shortcut = IDENTITY_UNITS[order, block]
    if block == "bottleneck":  # 16 to 64 channels: the first unit projects
        shortcut = PROJECTION_SHORTCUTS[order]
    first = [branch.removeprefix(end).strip(), shortcut.removeprefix(end).strip()]
    assert paths(model, "stem_relu", end_of_unit(model, "stage1_unit1")) == sorted(first)
    assert paths(model, model.layers[0].name, "stem_relu") == [stem]
    last = end_of_unit(model, f"stage3_unit{units}")
    assert paths(model, last, "head_pool") == [f"{end} pool".strip()]


@pytest.mark.parametrize(("order", "block"), CASES)
def test_gradients_reach_every_weight_of_every_order(order, block, rng):
    model = scramble(build(order, block, classifier_activation=None))
    for weight, gradient in gradients(model, rng.normal(size=(4, 8, 8, 3))):
        assert np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize(("order", "block"), CASES)
def test_a_saved_network_of_every_order_rebuilds_to_the_same_function(order, block, rng, tmp_path):
    assert_rebuilds(lambda: build(order, block), rng, tmp_path)


def test_every_order_of_the_paper_is_there():
    assert {order for order, _ in IDENTITY_UNITS} == set(ORDERS)


def kernel_gradients(model):
    """Largest absolute gradient of the first and of the last unit's kernels, at initialization, and whether all are finite."""
    images = np.random.default_rng(0).normal(size=(8, 32, 32, 3))
    found = gradients(model, images, labels=np.arange(8) % 10)
    finite = all(np.isfinite(gradient).all() and np.abs(gradient).max() > 0 for _, gradient in found)
    units = [weight.path.split("_conv")[0] for weight, _ in found if weight.path.startswith("stage") and "_conv" in weight.path]
    largest = {
        unit: max(np.abs(g).max() for w, g in found if w.path.startswith(f"{unit}_conv")) for unit in (units[0], units[-1])
    }
    return largest[units[0]], largest[units[-1]], finite


@pytest.mark.slow
def test_gradients_span_a_deep_residual_network_evenly_and_its_plain_twin_not():
    first, last, finite = kernel_gradients(keras_resnet.ResNet164V2(classifier_activation=None))
    assert finite
    assert first / last < 2_000
    first, last, _ = kernel_gradients(keras_resnet.ResNet164V2(shortcut="none", classifier_activation=None))
    assert first / last > 1e6


@pytest.mark.slow
def test_gradients_reach_every_weight_of_a_thousand_layers_and_are_finite():
    *_, finite = kernel_gradients(keras_resnet.ResNet1001V2(classifier_activation=None))
    assert finite
