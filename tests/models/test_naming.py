"""Catches a layer whose name is built one way and read another."""

import pytest

import keras_resnet
from keras_resnet.models import naming
from keras_resnet.models.naming import UnitLayer

NETWORKS = ("ResNet20V1", "ResNet20V2", "PlainNet20", "ResNet18V1", "ResNet50V2Slim", "ResNet50V2Timm")


def test_a_name_is_parsed_to_something_else_than_it_was_built_from():
    name = naming.unit_layer(3, 12, "shortcut_conv")
    assert name == "stage3_unit12_shortcut_conv"
    assert UnitLayer.parse(name) == UnitLayer(3, 12, "shortcut_conv")
    assert name.startswith(f"{naming.unit_name(3, 12)}_{naming.SHORTCUT}")


@pytest.mark.parametrize(
    ("operation", "on_branch", "ends_unit", "shortcut_operation"),
    [
        ("conv1", True, False, None),
        ("norm12", True, False, None),
        ("relu2", True, True, None),
        ("add", True, True, None),
        ("drop", False, False, None),
        ("conv2_pad", False, False, None),
        ("shortcut", False, False, ""),
        ("shortcut_conv", False, False, "conv"),
        ("shortcut_branch_scale", False, False, "branch_scale"),
    ],
)
def test_an_operation_is_taken_for_another_kind(operation, on_branch, ends_unit, shortcut_operation):
    layer = UnitLayer(1, 1, operation)
    assert (layer.on_branch, layer.ends_unit, layer.shortcut_operation) == (on_branch, ends_unit, shortcut_operation)


@pytest.mark.parametrize("name", ["stem_conv", "head_dense", "stage1", "stage1_unit2", "my_stage1_unit2_conv1", ""])
def test_a_layer_outside_of_the_units_is_taken_for_one_inside(name):
    assert UnitLayer.parse(name) is None


@pytest.mark.parametrize("network", NETWORKS)
def test_a_layer_of_a_network_belongs_to_no_part(network):
    model = getattr(keras_resnet, network)(width_multiplier=0.1)
    parts = {layer.name: naming.part_of(layer.name) for layer in model.layers}
    outside = [name for name, part in parts.items() if part is None]
    assert outside == [model.layers[0].name, naming.PREDICTIONS_LAYER]
    inside = [part for part in parts.values() if part]
    assert list(dict.fromkeys(inside)) == [part for part in naming.PARTS if part in inside]  # in this order
    for name, part in parts.items():
        assert (UnitLayer.parse(name) is not None) == (part is not None and part.startswith("stage"))


def test_units_are_miscounted():
    model = keras_resnet.ResNet50V1(width_multiplier=0.1)
    parsed = [UnitLayer.parse(layer.name) for layer in model.layers]
    assert naming.units_per_stage(parsed) == {1: 3, 2: 4, 3: 6, 4: 3}
    assert naming.units_per_stage(reversed(parsed)) == {1: 3, 2: 4, 3: 6, 4: 3}


def test_the_norm_of_a_convolution_is_another_layer():
    for conv in ("stem_conv", "stage1_unit1_conv2", "stage2_unit1_shortcut_conv"):
        assert naming.is_conv(conv)
        assert naming.is_norm(naming.norm_after(conv))
        assert keras_resnet.ResNet18V1(width_multiplier=0.1).get_layer(naming.norm_after(conv))
