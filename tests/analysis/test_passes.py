"""Catches an analysis that runs the network once per unit: at 1001 layers it would take an hour."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import analysis
from keras_resnet.analysis.forward import Forward

IMAGES, LABELS = np.random.default_rng(0).normal(size=(2, 8, 8, 1)), np.array([0, 1])


@pytest.mark.parametrize(
    ("call", "passes"),
    [
        (lambda model: analysis.gradient_norms(model, IMAGES, LABELS), 1),
        (lambda model: analysis.unit_contributions(model, IMAGES), 1),
        (lambda model: analysis.lesion_study(model, IMAGES, LABELS), 2),
        (lambda model: analysis.effective_receptive_field(model, IMAGES), 1),
        (lambda model: analysis.grad_cam(model, IMAGES), 1),
    ],
)
def test_layers_run_more_often_than_the_pass_needs(call, passes, monkeypatch):
    model = keras_resnet.ResNet56V2(input_shape=(8, 8, 1))
    convolve, counted = keras.layers.Conv2D.call, []

    def counting(layer, inputs):
        counted.append(layer.name)
        return convolve(layer, inputs)

    monkeypatch.setattr(keras.layers.Conv2D, "call", counting)
    call(model)
    assert len(counted) == passes * sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)


def test_values_are_kept_after_their_last_reader(monkeypatch):
    """Catches a pass that holds all feature maps: those of 1001 layers, times the networks of a lesion study, do not fit."""
    live, run = [], Forward._call

    def counting(forward, call, args, kwargs):
        live.append(forward.live)
        return run(forward, call, args, kwargs)

    monkeypatch.setattr(Forward, "_call", counting)
    analysis.lesion_study(keras_resnet.ResNet20V2(input_shape=(8, 8, 1)), IMAGES, LABELS)
    assert len(live) > 100
    assert max(live) <= 2
