"""Catches a shortcut that is not the one of the paper's figure, or that acts in some units only."""

import keras
import numpy as np
import pytest
from conftest import gradients, paths, scramble
from saved_networks import assert_rebuilds

import keras_resnet
from keras_resnet import UserError
from keras_resnet.models import shortcuts

# fmt: off
# Every way from a unit's input to its end, in original units, where the shape stays and where it changes. He et al. 2015,
# section 3.3 (A, B, C); 2016, Figure 2 (the others), on option A, whose subsampling and padding come first.
BRANCH = "conv norm relu conv norm"
PATHS = {
    "A":                    ([f"{BRANCH} add relu", "add relu"],
                             [f"{BRANCH} add relu", "subsample pad add relu"]),
    "B":                    ([f"{BRANCH} add relu", "add relu"],
                             [f"{BRANCH} add relu", "conv norm add relu"]),
    "C":                    ([f"{BRANCH} add relu", "conv norm add relu"],) * 2,
    "conv1x1":              ([f"{BRANCH} add relu", "conv norm add relu"],) * 2,
    "none":                 ([f"{BRANCH} relu"],) * 2,
    "constant_scaling":     ([f"{BRANCH} scale add relu", "scale add relu"],
                             [f"{BRANCH} scale add relu", "subsample pad scale add relu"]),
    "constant_scaling(0.5, 1)": ([f"{BRANCH} add relu", "scale add relu"],
                             [f"{BRANCH} add relu", "subsample pad scale add relu"]),
    "exclusive_gating":     ([f"{BRANCH} multiply add relu", "multiply add relu",
                              "conv sigmoid multiply add relu", "conv sigmoid scale multiply add relu"],
                             [f"{BRANCH} multiply add relu", "subsample pad multiply add relu",
                              "conv sigmoid multiply add relu", "conv sigmoid scale multiply add relu"]),
    "shortcut_only_gating": ([f"{BRANCH} add relu", "multiply add relu", "conv sigmoid scale multiply add relu"],
                             [f"{BRANCH} add relu", "subsample pad multiply add relu", "conv sigmoid scale multiply add relu"]),
    "dropout":              ([f"{BRANCH} add relu", "dropout add relu"],
                             [f"{BRANCH} add relu", "subsample pad dropout add relu"]),
}
# fmt: on


def build(shortcut, **options):
    return keras_resnet.ResNet20V1(shortcut=shortcut, **{"input_shape": (8, 8, 3), "classes": 3, **options})


@pytest.mark.parametrize("shortcut", PATHS)
def test_every_path_through_a_unit_is_the_papers(shortcut):
    model = build(shortcut)
    same, changing = PATHS[shortcut]
    assert paths(model, "stage1_unit1_relu2", "stage1_unit2_relu2") == sorted(same)
    assert paths(model, "stage1_unit3_relu2", "stage2_unit1_relu2") == sorted(changing)


@pytest.mark.parametrize("shortcut", [s for s in PATHS if s != "none"])
def test_the_shortcut_is_in_every_unit(shortcut):
    model = build(shortcut)
    for stage in (1, 2, 3):
        for unit in (2, 3):
            found = paths(model, f"stage{stage}_unit{unit - 1}_relu2", f"stage{stage}_unit{unit}_relu2")
            assert found == sorted(PATHS[shortcut][0])


@pytest.mark.parametrize("unit", ["original", "full_preactivation"])
@pytest.mark.parametrize("shortcut", PATHS)
def test_gradients_reach_every_weight_of_every_shortcut(shortcut, unit, rng):
    model = scramble(build(shortcut, unit=unit, classifier_activation=None))
    for weight, gradient in gradients(model, rng.normal(size=(4, 8, 8, 3))):
        assert np.abs(gradient).max() > 0, weight.path


@pytest.mark.parametrize("shortcut", PATHS)
def test_a_saved_network_of_every_shortcut_rebuilds_to_the_same_function(shortcut, rng, tmp_path):
    assert_rebuilds(lambda: build(shortcut), rng, tmp_path)


def unit_outputs(model, x, *names):
    return [np.asarray(value) for value in keras.Model(model.input, [model.get_layer(name).output for name in names])(x)]


def test_constant_scaling_takes_both_factors(rng):
    model = scramble(build("constant_scaling(0.25, 0.75)"))
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    skip, branch, total = unit_outputs(model, x, "stage1_unit1_relu2", "stage1_unit2_norm2", "stage1_unit2_add")
    np.testing.assert_allclose(total, 0.25 * skip + 0.75 * branch, rtol=1e-5, atol=1e-6)


def test_an_exclusive_gate_gives_the_branch_what_it_takes_from_the_shortcut(rng):
    model = scramble(build("exclusive_gating(-1)"))
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    names = ("stage1_unit1_relu2", "stage1_unit2_norm2", "stage1_unit2_shortcut_sigmoid", "stage1_unit2_add")
    skip, branch, gate, total = unit_outputs(model, x, *names)
    np.testing.assert_allclose(total, (1 - gate) * skip + gate * branch, rtol=1e-5, atol=1e-6)


def test_a_shortcut_only_gate_leaves_the_branch_alone(rng):
    model = scramble(build("shortcut_only_gating(-1)"))
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    names = ("stage1_unit1_relu2", "stage1_unit2_norm2", "stage1_unit2_shortcut_sigmoid", "stage1_unit2_add")
    skip, branch, gate, total = unit_outputs(model, x, *names)
    np.testing.assert_allclose(total, (1 - gate) * skip + branch, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shortcut", "bias"),
    [("exclusive_gating", -6), ("exclusive_gating(-7)", -7), ("shortcut_only_gating(0)", 0)],
)
def test_the_gates_bias_begins_as_the_table_says(shortcut, bias):
    gates = [layer for layer in build(shortcut).layers if layer.name.endswith("_gate")]
    assert len(gates) == 9
    for gate in gates:
        assert gate.kernel_size == (1, 1)
        np.testing.assert_array_equal(gate.bias, np.full(gate.bias.shape, bias))


def test_dropout_is_on_the_shortcut_alone_and_has_the_tables_rate():
    dropouts = [layer for layer in build("dropout").layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in dropouts] == [0.5] * 9


@pytest.mark.parametrize(
    ("shortcut", "message"),
    [
        ("D", "unknown shortcut 'D'; the shortcuts are A, B, C, vd, none, constant_scaling"),
        ("A(1)", "A takes no number"),
        ("exclusive_gating(x)", "exclusive_gating takes bias"),
        ("exclusive_gating(nan)", "exclusive_gating takes bias"),
        ("constant_scaling(1)", "constant_scaling takes shortcut_factor, branch_factor"),
        ("dropout(1)", "at least 0 and below 1"),
        ("dropout(0.5", "unknown shortcut"),
        (3, "unknown shortcut 3"),
        ("", "unknown shortcut ''"),
    ],
)
def test_a_wrong_shortcut_is_refused_with_the_right_ones(shortcut, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        shortcuts.get_shortcut(shortcut)
