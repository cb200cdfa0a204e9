"""Catches a feature map of another stage, of another stride, or from before its activation."""

import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet import UserError

IMAGENET = {"stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}


@pytest.mark.parametrize(
    ("name", "options", "strides", "channels"),
    [
        ("ResNet18V1", {}, IMAGENET, (64, 128, 256, 512)),
        ("ResNet50V2", {}, IMAGENET, (256, 512, 1024, 2048)),
        ("ResNet50V2Slim", {}, IMAGENET, (256, 512, 1024, 2048)),
        ("ResNet50V2Timm", {"output_stride": 8}, {**IMAGENET, "stage3": 8, "stage4": 8}, (256, 512, 1024, 2048)),
        ("ResNet20V2", {"width_multiplier": 2}, {"stage1": 1, "stage2": 2, "stage3": 4}, (32, 64, 128)),
        ("PlainNet20", {"unit": "relu_before_addition"}, {"stage1": 1, "stage2": 2, "stage3": 4}, (16, 32, 64)),
    ],
)
def test_strides_and_channels_are_those_of_the_maps(name, options, strides, channels):
    backbone = keras_resnet.backbone(getattr(keras_resnet, name)(include_top=False, **options))
    assert backbone.strides == strides
    assert backbone.channels == dict(zip(strides, channels, strict=True))
    features = backbone.model(np.zeros((1, 64, 96, 3), "float32"))
    assert list(features) == list(strides)
    for stage, feature in features.items():
        assert feature.shape == (1, 64 // strides[stage], 96 // strides[stage], backbone.channels[stage])


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("ResNet20V1", ["stage1_unit3_relu2", "stage2_unit3_relu2", "stage3_unit3_relu2"]),
        ("ResNet20V2", ["stage2_unit1_relu1", "stage3_unit1_relu1", "head_relu"]),
    ],
)
def test_features_are_activated_skip_paths(name, layers):
    model = getattr(keras_resnet, name)()
    outputs = keras_resnet.backbone(model).model.outputs
    assert [id(output) for output in outputs] == [id(model.get_layer(layer).output) for layer in layers]


def test_a_slim_networks_features_come_before_the_stages_own_stride():
    model = keras_resnet.ResNet50V2Slim(include_top=False)
    outputs = keras_resnet.backbone(model).model.outputs
    assert outputs[0] is model.get_layer("stage1_unit3_relu1").output


def test_the_networks_weights_come_along_and_stages_can_be_chosen(rng):
    model = scramble(keras_resnet.ResNet20V1())
    backbone = keras_resnet.backbone(model, stages=(2, 3))
    assert list(backbone.strides) == ["stage2", "stage3"]
    x = rng.normal(size=(1, 32, 32, 3)).astype("float32")
    logits = np.asarray(model.get_layer("head_dense")(np.asarray(backbone.model(x)["stage3"]).mean(axis=(1, 2))))
    probabilities = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(probabilities, model(x), rtol=1e-4, atol=1e-6)


def test_a_stage_or_a_model_that_is_none_is_refused():
    model = keras_resnet.ResNet20V1()
    with pytest.raises(UserError, match=r"stages are \(4,\); those of resnet20v1 are 1, 2, 3"):
        keras_resnet.backbone(model, stages=(4,))
    with pytest.raises(UserError, match=r"stages are \(\); those of resnet20v1 are 1, 2, 3"):
        keras_resnet.backbone(model, stages=())
    import keras

    inputs = keras.Input((2,))
    with pytest.raises(UserError, match="is not a network of this zoo"):
        keras_resnet.backbone(keras.Model(inputs, keras.layers.Dense(1)(inputs), name="mine"))
