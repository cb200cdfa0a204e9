"""Catches a size that is not the graph's, and a published figure without its reference."""

import keras
import pytest

import keras_resnet
from keras_resnet import UserError, graph, info, published

# fmt: off
MILLIONS = {  # multiply-adds by the papers' networks; He et al. 2015, Table 1 has 1.8, 3.6, 3.8, 7.6 and 11.3 billion
    "ResNet20V1": 40.6, "ResNet32V1": 68.9, "ResNet44V1": 97.2, "ResNet56V1": 125.5, "ResNet110V1": 252.9, "ResNet1202V1": 2829,
    "ResNet164V2": 244.5, "ResNet1001V2": 1488,
}
BILLIONS = {
    "ResNet18V1": 1.81, "ResNet34V1": 3.66, "ResNet50V1": 3.86, "ResNet101V1": 7.57, "ResNet152V1": 11.28, "ResNet200V1": 14.78,
    "ResNet50V1_5": 4.09, "ResNet101V1_5": 7.80, "ResNet152V1_5": 11.51, "ResNet200V1_5": 15.01,
    "ResNet50V2": 4.09, "ResNet101V2": 7.80, "ResNet152V2": 11.51, "ResNet200V2": 15.01,
}
KERAS_TOTALS = {"ResNet50V2Slim": 25_613_800, "ResNet101V2Slim": 44_675_560, "ResNet152V2Slim": 60_380_648}
# fmt: on


def test_multiply_adds_are_the_papers():
    """The recorded sizes; that they are the graphs' is the test of the variants."""
    sizes = info.recorded_sizes()
    for name, millions in MILLIONS.items():
        assert sizes[name].macs / 1e6 == pytest.approx(millions, abs=0.5 if millions > 1000 else 0.05)
    for name, billions in BILLIONS.items():
        assert sizes[name].macs / 1e9 == pytest.approx(billions, abs=0.005)


def test_the_slim_networks_have_all_of_keras_applications_parameters():
    for name, total in KERAS_TOTALS.items():
        assert info.recorded_sizes()[name].total == total


def test_multiply_adds_and_the_longest_path_of_a_small_graph_are_those_counted_by_hand():
    inputs = keras.Input((8, 6, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", strides=2, name="a")(inputs)  # 4*3 positions, 3*3*3*4
    y = keras.layers.Conv2D(4, 1, name="b")(x)  # 4*3 positions, 4*4
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Add(name="add")([x, y]))
    model = keras.Model(inputs, keras.layers.Dense(5, name="c")(x))
    assert graph.macs(model) == 12 * 108 + 12 * 16 + 4 * 5
    assert graph.longest_path(model) == 3
    assert graph.strides(model)["add"] == 2


def test_multiply_adds_need_a_fixed_image_size():
    with pytest.raises(UserError, match="fixed input_shape"):
        graph.macs(keras_resnet.ResNet20V1(include_top=False))


def test_describe_tells_size_error_and_weights():
    model_info = keras_resnet.describe("ResNet20V1")
    assert model_info.size == info.recorded_sizes()["ResNet20V1"]
    text = str(model_info)
    for part in ("269,722", "271,098", "40,551,040", "8.75", "He et al. 2015, Table 6", "akamaster", "32, 32, 3"):
        assert part in text
    with pytest.raises(UserError, match=r"6n\+2"):
        keras_resnet.describe("ResNet21V1")


def test_every_published_figure_belongs_to_a_network_and_names_its_reference():
    assert set(published.PUBLISHED) <= set(keras_resnet.list_models())
    for results in published.PUBLISHED.values():
        for result in results:
            assert 0 < result.top1 < 100
            assert any(word in result.reference for word in ("Table", "torchvision", "keras.applications", "timm"))


def test_weights_are_said_to_fit_only_networks_that_exist():
    from keras_resnet.weights.checkpoint_formats import CHECKPOINT_FORMATS

    for known in CHECKPOINT_FORMATS:
        assert set(known.compatible_models) <= set(keras_resnet.list_models())
