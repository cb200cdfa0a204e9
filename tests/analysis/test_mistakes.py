"""Catches a user's mistake that becomes a traceback of a library, several lines, or a result."""

import functools

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import UserError
from keras_resnet.analysis import (
    effective_receptive_field,
    grad_cam,
    gradient_norms,
    lesion_study,
    receptive_field,
    unit_contributions,
)

IMAGES, LABELS = np.zeros((3, 8, 8, 1)), np.array([0, 1, 2])
NAN = np.where(np.arange(64).reshape(8, 8, 1) == 5, np.nan, IMAGES)
WITH_LABELS = (gradient_norms, lesion_study)
WITH_IMAGES = (unit_contributions, effective_receptive_field, grad_cam)
ALL = [
    *(functools.partial(function, labels=LABELS) for function in WITH_LABELS),
    *WITH_IMAGES,
]


@functools.cache
def network(**options):
    return keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classes=3, **options)


def refused(call, *parts):
    with pytest.raises(UserError) as error:
        call()
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def foreign():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)), name="mine")


@pytest.mark.parametrize("call", ALL)
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[..., 0], "images has the shape (3, 8, 8); resnet20v2 takes (N, 8, 8, 1)"),
        (np.zeros((3, 8, 9, 1)), "images has the shape (3, 8, 9, 1); resnet20v2 takes (N, 8, 8, 1)"),
        (IMAGES[:0], "there must be at least one"),
        (NAN, "images has 3 values that are NaN or infinite"),
        ([["a"]], "images is a list"),
        ([[1], [2, 3]], "images is a list"),
        (None, "images is a NoneType"),
    ],
)
def test_images_that_do_not_fit(call, images, message):
    refused(lambda: call(network(), images), message)


@pytest.mark.parametrize("call", [*(functools.partial(call, images=IMAGES) for call in ALL), receptive_field])
def test_a_model_that_is_none_of_this_zoo(call):
    refused(lambda: call(foreign()), "mine is not a network of this zoo")
    refused(lambda: call("resnet20v2"), "'resnet20v2' is not a keras.Model")
    inputs = keras.Input((8, 8, 1))
    twice = [keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classes=3, name=name) for name in ("a", "b")]
    both = keras.Model(inputs, keras.layers.Add()([network(inputs) for network in twice]), name="both")
    refused(lambda: call(both), "both has 2 networks of this zoo inside")


@pytest.mark.parametrize("call", [functools.partial(function, images=IMAGES) for function in WITH_LABELS])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3], "labels has the value 3; the classes of resnet20v2 are the numbers 0 to 2"),
        ([0, -1, 1], "labels has the value -1"),
        ([0, 1.5, 1], "labels has the value 1.5"),
        ([0, float("nan"), 1], "labels has the value nan"),
        ([0, 1], "labels has the shape (2,); for 3 images it is (3,)"),
        (np.eye(3), "labels has the shape (3, 3)"),
        (["a", "b", "c"], "labels is a list"),
    ],
)
def test_labels_that_do_not_fit(call, labels, message):
    refused(lambda: call(network(), labels=labels), message)


def test_a_model_without_a_top_or_with_another_activation():
    features = network(include_top=False)
    for call in (*ALL[:2], grad_cam):
        refused(lambda call=call: call(features, IMAGES), "resnet20v2 has no top that gives one number per class")
        sigmoid = network(classifier_activation="sigmoid")
        refused(lambda call=call, sigmoid=sigmoid: call(sigmoid, IMAGES), "ends in sigmoid")


def test_units_layers_and_classes_that_are_not_there():
    refused(lambda: effective_receptive_field(network(), IMAGES, "stage4_unit1"), "has no unit 'stage4_unit1'; its units are")
    refused(lambda: grad_cam(network(), IMAGES, layer="stage9"), "resnet20v2 has no layer 'stage9'")
    refused(lambda: grad_cam(network(), IMAGES, layer="head_pool"), "head_pool of resnet20v2 has no feature map")
    refused(lambda: grad_cam(network(), IMAGES, 3), "class_index has the value 3")
    refused(lambda: grad_cam(network(), IMAGES, (0, 1)), "class_index has the shape (2,)")
    refused(lambda: grad_cam(network(), IMAGES, "cat"), "class_index is a str")


def test_a_network_that_is_called_twice():
    inputs = keras.Input((8, 8, 1))
    inner = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classes=3)
    both = keras.Model(inputs, keras.layers.Add()([inner(inputs), inner(keras.layers.Rescaling(2.0)(inputs))]), name="both")
    refused(lambda: unit_contributions(both, IMAGES), "both calls resnet20v2 more than once")
