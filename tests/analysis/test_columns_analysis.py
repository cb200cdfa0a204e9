"""Catches a network with attention, antialiasing or other norms that cannot be looked into, or is seen otherwise than it is."""

import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet import analysis

NETWORKS = {
    "blur, se": {"antialias": "blur", "attention": "se", "projection": "avg_pool"},
    "avg, eca": {"antialias": "avg", "attention": "eca", "unit": "full_preactivation"},
    "group_standardized": {"normalization": "group_standardized", "unit": "full_preactivation"},
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, tmp_path_factory):
    """As it is built, and as its file loads, whose operations have other names."""
    model = scramble(keras_resnet.ResNet20V1(shortcut="B", input_shape=(16, 16, 3), classes=3, **NETWORKS[request.param]))
    path = tmp_path_factory.mktemp("networks") / "m.keras"
    model.save(path)
    return model, keras_resnet.load_model(path)


def test_every_function_takes_it_and_says_the_same_of_its_file(network):
    images, labels = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32"), np.array([0, 1, 2, 0])
    for function, arguments in (
        (analysis.gradient_norms, (images, labels)),
        (analysis.unit_contributions, (images,)),
        (analysis.lesion_study, (images, labels)),
        (analysis.receptive_field, ()),
    ):
        first, again = (function(model, *arguments).to_dict() for model in network)
        assert first.keys() == again.keys()
        assert first["units"] == again["units"]


def test_the_receptive_field_is_where_the_gradient_of_a_position_reaches():
    """Of convolutions and filters, not of attention, which sees the whole image."""
    options = {"antialias": "blur", "shortcut": "B", "input_shape": (64, 64, 3), "include_top": False}
    plain = analysis.receptive_field(keras_resnet.ResNet20V1(**options)).to_dict()
    assert analysis.receptive_field(keras_resnet.ResNet20V1(**options, attention="se")).to_dict()["sizes"] == plain["sizes"]
    without = analysis.receptive_field(keras_resnet.ResNet20V1(**{**options, "antialias": "none"})).to_dict()
    # The filter of the first unit with a stride sees one pixel more on each side, that of the second, two strides on, two.
    grown = [ours - theirs for ours, theirs in zip(plain["sizes"], without["sizes"], strict=True)]
    assert grown == [0, 0, 0, 2, 2, 2, 6, 6, 6]
