"""Catches a lesion that takes out something else than a unit's branch, or hurts the networks that run beside it."""

import keras
import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet.analysis import lesion_study, lesions

SHAPE = (8, 8, 3)
LABELS = np.array([0, 1, 2, 0, 1])


@pytest.fixture
def images(rng):
    return rng.normal(size=(5, *SHAPE)).astype("float32")


def network(name="ResNet20V2", **options):
    return scramble(getattr(keras_resnet, name)(input_shape=SHAPE, classes=3, **options))


def scores(probabilities):
    """Cross-entropy and accuracy."""
    probabilities = np.asarray(probabilities, "float64")
    return -np.log(probabilities[range(5), LABELS]).mean(), (probabilities.argmax(axis=1) == LABELS).mean()


def without_branch(model, unit):
    """A copy of the network whose unit's branch ends in zeros, by the weights of its last convolution or norm."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    on_branch = [
        n
        for n in (layer.name for layer in model.layers)
        if n.startswith(f"{unit}_") and n.split("_")[2][:4] in ("conv", "norm")
    ]
    before_addition = [
        n for n in on_branch if model.layers.index(model.get_layer(n)) < model.layers.index(model.get_layer(f"{unit}_add"))
    ]
    for weight in copy.get_layer(before_addition[-1]).trainable_weights:
        weight.assign(np.zeros(weight.shape))
    return copy


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ResNet20V1", {"shortcut": "B"}),
        ("ResNet20V2", {"classifier_activation": "softmax"}),
        ("ResNet20V2", {"unit": "bn_after_addition", "shortcut": "constant_scaling"}),
        ("ResNet20V2", {"unit": "relu_before_addition"}),
        ("ResNet20V2", {"unit": "relu_only_preactivation", "shortcut": "exclusive_gating"}),
        pytest.param("ResNet56V2", {"block": "bottleneck"}, marks=pytest.mark.slow),
    ],
)
def test_a_network_without_a_unit_is_not_one_whose_branch_ends_in_zeros(name, options, images, monkeypatch):
    """Also in several passes, each with a part of the units."""
    model = network(name, **options)
    expected = [scores(without_branch(model, unit)(images)) for unit in lesion_study(model, images, LABELS).units]
    for limit in (lesions.ELEMENTS_AT_ONCE, 5 * 8 * 8 * 16 * 4):
        monkeypatch.setattr(lesions, "ELEMENTS_AT_ONCE", limit)
        study = lesion_study(model, images, LABELS)
        np.testing.assert_allclose((study.loss, study.accuracy), scores(model(images)), rtol=1e-4)
        np.testing.assert_allclose(study.losses, [loss for loss, _ in expected], rtol=1e-4)
        np.testing.assert_allclose(study.accuracies, [accuracy for _, accuracy in expected])


def test_what_remains_of_a_unit_is_told_wrong(images):
    assert lesion_study(network(), images, LABELS).identities == (True, True, True, False, True, True, False, True, True)
    assert lesion_study(network(shortcut="constant_scaling"), images, LABELS).identities == (False,) * 9


@pytest.mark.parametrize("unit", ["original", "full_preactivation"])
def test_a_plain_network_without_a_unit_is_not_the_rest_of_it(unit, images):
    """Against a network that is built by hand: the unit's successor reads what the unit read."""
    model = network("PlainNet20", unit=unit)
    study = lesion_study(model, images, LABELS)
    x = images
    for layer in model.layers[1:]:
        if not layer.name.startswith("stage2_unit2_"):
            x = layer(x)
    np.testing.assert_allclose((study.losses[4], study.accuracies[4]), scores(x), rtol=1e-4)
    assert [loss is None for loss in study.losses] == [False, False, False, True, False, False, True, False, False]
    assert study.accuracies[3] is None
    assert not study.identities[3]
    assert len(study.plot().axes) == 2


def test_a_network_that_also_gives_its_features_is_mixed_up(images):
    """Its features would be those of other images: they leave before the further images of the batch come."""
    model = network()
    pooled = keras.layers.GlobalAveragePooling2D()(model.get_layer("stage1_unit1_add").output)
    logits = keras.layers.Dense(3)(keras.layers.Concatenate()([pooled, model.get_layer("head_pool").output]))
    with pytest.raises(keras_resnet.UserError, match="units can be left out of a chain only"):
        lesion_study(keras.Model(model.input, logits), images, LABELS)


def test_the_model_is_changed(images):
    model = network()
    before = [np.array(variable) for variable in model.variables]
    lesion_study(model, images, LABELS)
    assert all((old == new).all() for old, new in zip(before, map(np.array, model.variables), strict=True))
