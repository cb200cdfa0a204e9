"""Catches a receptive field that is not that of the layers, and gradients of another position."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.analysis import effective_receptive_field, receptive_field

# By hand, from the papers' tables: each 3x3 adds 2 strides of what it reads.
KNOWN = {
    "ResNet20V1": (81, 4),
    "ResNet20V2": (81, 4),
    "PlainNet20": (81, 4),
    "ResNet18V1": (435, 32),
    "ResNet50V1": (483, 32),  # Araujo et al. 2019, Distill
    "ResNet50V1_5": (427, 32),  # its first 3x3 of a stage reads before the stride
    "ResNet50V2Slim": (483, 32),  # the last 3x3 of a stage has the stride, and reads before it
    "ResNet101V1": (1027, 32),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_size_is_not_that_of_the_papers_networks(name):
    field = receptive_field(getattr(keras_resnet, name)(include_top=False))
    assert (field.sizes[-1], field.strides[-1]) == KNOWN[name]


def positive(model):
    """Makes each output a sum of its inputs with positive weights, so that a gradient is zero only outside the field."""
    for weight in model.weights:
        kind = weight.path.split("/")[-1]
        value = np.zeros(weight.shape) if kind in ("moving_mean", "beta", "bias") else np.ones(weight.shape)
        weight.assign(np.abs(np.asarray(weight)) + 0.01 if kind == "kernel" else value)
    return model


@pytest.mark.parametrize(
    ("name", "options", "unit", "side"),
    [
        ("ResNet20V1", {}, "stage2_unit2", 48),
        ("ResNet20V2", {"unit": "bn_after_addition"}, "stage3_unit1", 80),
        ("ResNet20V2", {"output_stride": 2}, "stage3_unit2", 96),
        ("ResNet50V1_5", {}, "stage2_unit1", 96),
        ("ResNet50V2Timm", {}, "stage2_unit1", 96),
        ("ResNet50V2Slim", {}, "stage1_unit3", 96),
    ],
)
def test_pixels_outside_of_the_field_count_or_such_inside_do_not(name, options, unit, side, rng):
    """The gradient of a linear network is the independent witness; average instead of maximum pooling where there is one."""
    model = positive(
        getattr(keras_resnet, name)(include_top=False, input_shape=(side, side, 1), width_multiplier=1 / 8, **options)
    )
    pools = [layer.name for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    if pools:

        def clone(layer):
            config = layer.get_config()
            return keras.layers.AveragePooling2D(**config) if layer.name in pools else type(layer).from_config(config)

        averaging = keras.models.clone_model(model, clone_function=clone)
        averaging.set_weights(model.get_weights())
        model = averaging
    field = receptive_field(model)
    at = field.units.index(unit)
    found = effective_receptive_field(model, rng.uniform(0.5, 1, size=(1, side, side, 1)), unit)
    assert found.theoretical_size == field.sizes[at]
    assert found.weights.shape == (side, side)
    assert found.weights.max() == 1
    middle = -(-side // field.strides[at]) // 2
    center = field.offsets[at] + middle * field.strides[at]
    first, last = center - (field.sizes[at] - 1) / 2, center + (field.sizes[at] - 1) / 2
    rows = np.flatnonzero(found.weights.any(axis=1))
    assert 0 <= first < last < side, "the image of this test is too small"
    assert (rows[0], rows[-1]) == (first, last)


def test_the_effective_size_is_not_a_count_of_pixels_near_the_middle(rng):
    model = keras_resnet.ResNet20V2(input_shape=(48, 48, 3))
    found = effective_receptive_field(model, rng.normal(size=(2, 48, 48, 3)), "stage1_unit3")
    assert found.size == np.sqrt((found.weights > 0.0455).sum())
    assert 3 < found.size < found.theoretical_size == 15
    rows, columns = np.nonzero(found.weights)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (17, 31, 17, 31)
    assert found.plot()
    assert found.to_dict()["weights"][24][24] > 0


def test_a_side_that_is_not_fixed_is_drawn():
    field = receptive_field(keras_resnet.ResNet20V2(include_top=False))
    assert field.image_side is None
    assert len(field.plot().axes[0].lines) == 1 + 2
    assert receptive_field(keras_resnet.ResNet20V2()).image_side == 32


def test_a_layer_whose_field_is_not_known_is_passed_over():
    inputs = keras.Input((16, 16, 3))
    network = keras_resnet.ResNet20V2(input_tensor=keras.layers.UpSampling2D(2, name="larger")(inputs))
    with pytest.raises(
        keras_resnet.UserError, match="larger of resnet20v2 is a UpSampling2D, whose receptive field is not known"
    ):
        receptive_field(network)
