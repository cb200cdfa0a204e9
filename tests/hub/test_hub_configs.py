"""Catches a config.json that is read as another network, other classes or other images than its library would make of it."""

import json

import pytest
from hub_repositories import (
    BIT_CONFIG,
    BIT_PROCESSOR,
    CLASSES,
    PROCESSOR,
    SIZE,
    TEST_SIZE,
    TIMM_CONFIG,
    TRANSFORMERS_CONFIG,
    changed,
    with_pretrained_cfg,
)

from keras_resnet import UserError
from keras_resnet.hub.names import HubName, is_hub_name, parse_hub_name
from keras_resnet.hub.network_config import distinct_names
from keras_resnet.hub.repository import Repository, find_repository
from keras_resnet.models.variants import VARIANTS
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.weights.architectures import (
    TIMM_ARCHITECTURES,
    TIMM_REFUSED,
    TORCHVISION_ARCHITECTURES,
    TRANSFORMERS_ARCHITECTURES,
    model_of_repository,
)

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def folder(path, config, processor=None):
    """A repository in a folder, with nothing but its configuration."""
    (path / "config.json").write_text(json.dumps(config))
    if processor:
        (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return Repository(str(path), None, path)


def test_an_architecture_stands_for_a_network_that_there_is_not():
    for table in (TIMM_ARCHITECTURES, TORCHVISION_ARCHITECTURES, TRANSFORMERS_ARCHITECTURES):
        assert set(table.values()) <= set(VARIANTS)
    assert not TIMM_ARCHITECTURES.keys() & TIMM_REFUSED.keys()
    assert len(set(TIMM_ARCHITECTURES.values())) == len(TIMM_ARCHITECTURES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://timm/resnet50d.ra2_in1k", HubName("timm/resnet50d.ra2_in1k")),
        ("hf-hub:timm/resnet50d.ra2_in1k@v1", HubName("timm/resnet50d.ra2_in1k", "v1")),
        ("hf_hub:a/b@refs/pr/1", HubName("a/b", "refs/pr/1")),
    ],
)
def test_a_name_is_read_as_another(text, expected):
    assert is_hub_name(text)
    assert parse_hub_name(text) == expected


@pytest.mark.parametrize(
    "text", ["hf://", "hf://timm", "hf://a/b/c", "hf://a/b@", "hf://../b", "hf://a/b c", "hf:///b", "hf://a/b\n"]
)
def test_a_name_that_is_none_is_asked_for(text):
    with pytest.raises(UserError, match="is not the name of a repository: it must be like hf://timm/"):
        find_repository(text)


def test_timms_own_entries_are_read_otherwise(tmp_path):
    network = folder(tmp_path, TIMM_CONFIG).network
    assert (network.architecture, network.classes, network.class_names) == ("resnet18", 3, CLASSES)
    assert network.preprocessing == Preprocessing(TEST_SIZE, TEST_SIZE, 3, (0.5, 0.25, 0.125), (0.1, 0.2, 0.4), 0.95, "bicubic")
    assert network.license == "apache-2.0"


def test_without_sizes_for_tests_those_of_training_are_not_taken(tmp_path):
    network = folder(tmp_path, with_pretrained_cfg(test_input_size=None, test_crop_pct=None)).network
    assert (network.preprocessing.height, network.preprocessing.crop_fraction) == (SIZE, 0.9)


def test_timms_flat_layout_is_read_otherwise(tmp_path):
    """Before version 0.9 there was no `pretrained_cfg`."""
    flat = {**TIMM_CONFIG["pretrained_cfg"], "architecture": "resnet18", "num_classes": 3, "labels": list("xyz")}
    network = folder(tmp_path, flat).network
    assert network.class_names == ("x", "y", "z")
    assert network.preprocessing == folder(tmp_path, TIMM_CONFIG).network.preprocessing


def test_names_of_classes_by_their_numbers_are_read_in_the_order_of_the_file(tmp_path):
    config = changed(TIMM_CONFIG, label_names={"2": "c", "0": "a", "1": "b"}, label_descriptions=None)
    assert folder(tmp_path, config).network.class_names == ("a", "b", "c")


def test_imagenets_classes_have_no_names_or_those_of_another_order(tmp_path):
    """timm's `imagenet_synsets.txt` begins with n01440764, a tench, and ends with n15075141, toilet tissue."""
    config = changed(TIMM_CONFIG, num_classes=1000, label_names=None, label_descriptions=None)
    names = folder(tmp_path, config).network.class_names
    assert (len(set(names)), names[0], names[281], names[999]) == (1000, "n01440764", "n02123045", "n15075141")
    tag = {"pretrained_cfg": {**TIMM_CONFIG["pretrained_cfg"], "tag": "mine"}}
    assert folder(tmp_path, {**config, **tag}).network.class_names == ()


def test_classes_of_one_name_are_one_class():
    assert distinct_names(["crane", "cat", " crane"]) == ("crane (0)", "cat", "crane (2)")
    with pytest.raises(UserError, match="not a line of text"):
        distinct_names(["a\nb"])


TIMM_MISTAKES = {
    "interpolation is 'random'; images can be resized by bilinear, bicubic here": with_pretrained_cfg(interpolation="random"),
    "crop_mode is 'squash'; images can be cropped in the center here": with_pretrained_cfg(crop_mode="squash"),
    "model_args has stem_type, which makes another network": changed(TIMM_CONFIG, model_args={"stem_type": "deep"}),
    "model_args has act_layer": changed(TIMM_CONFIG, model_args={"act_layer": "gelu", "in_chans": 3}),
    "model_args has block_args": changed(TIMM_CONFIG, model_args={"block_args": {"attn_layer": "se"}}),
    "global_pool is 'max'; it must be avg": changed(TIMM_CONFIG, global_pool="max"),
    "global_pool is 'avgmax'; it must be avg": changed(TIMM_CONFIG, model_args={"global_pool": "avgmax"}),
    r"license is 'mit\n# Injected'; it must be one line": with_pretrained_cfg(license="mit\n# Injected"),
    "it must be one line of at most 100 characters": with_pretrained_cfg(license="m" * 101),
    "label_names has 2 names, and num_classes is 3": changed(TIMM_CONFIG, label_names=["a", "b"]),
    "label_names does not name the classes 0 to 2": changed(TIMM_CONFIG, label_names={"0": "a", "1": "b", "7": "c"}),
    "num_classes is -1; it is at least 0": changed(TIMM_CONFIG, num_classes=-1),
    "num_classes is 'three', which is not of type int": changed(TIMM_CONFIG, num_classes="three"),
    "each has 3 numbers": with_pretrained_cfg(mean=[0.5]),
    "crop_fraction is 1.5": with_pretrained_cfg(test_crop_pct=1.5),
    "timm's resnetv2_50d_frn is not a network of this zoo": changed(TIMM_CONFIG, architecture="resnetv2_50d_frn"),
    "timm's architecture 'vgg16' is not a network of this zoo": changed(TIMM_CONFIG, architecture="vgg16"),
}


@pytest.mark.parametrize("message", TIMM_MISTAKES)
def test_a_mistake_of_timms_config_is_passed_over(message, tmp_path):
    with pytest.raises(UserError) as error:
        model_of_repository(folder(tmp_path, TIMM_MISTAKES[message]))
    assert message in str(error.value)
    assert str(error.value).count(str(tmp_path)) == 1


@pytest.mark.parametrize(
    ("entries", "model"),
    [
        ({}, "ResNet50V1_5"),
        ({"downsample_in_bottleneck": True}, "ResNet50V1"),
        ({"depths": [2, 2, 2, 2]}, "ResNet26"),
        ({"depths": [2, 2, 2, 2], "layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]}, "ResNet18V1"),
        ({"depths": [3, 4, 23, 3]}, "ResNet101V1_5"),
    ],
)
def test_a_resnet_of_transformers_is_taken_for_another(entries, model, tmp_path):
    assert model_of_repository(folder(tmp_path, changed(TRANSFORMERS_CONFIG, **entries))) == model


def test_what_transformers_says_of_classes_and_images_is_read_otherwise(tmp_path):
    network = folder(tmp_path, TRANSFORMERS_CONFIG, PROCESSOR).network
    assert (network.classes, network.class_names) == (3, CLASSES)
    assert network.preprocessing == Preprocessing(224, 224, 3, *IMAGENET, 0.875, "bicubic", crop_rounding="down")
    old = changed(PROCESSOR, image_processor_type=None, feature_extractor_type="ConvNextFeatureExtractor", size=224)
    assert folder(tmp_path, TRANSFORMERS_CONFIG, old).network.preprocessing == network.preprocessing


def test_bit_of_transformers_is_read_otherwise(tmp_path):
    repository = folder(tmp_path, BIT_CONFIG, BIT_PROCESSOR)
    assert model_of_repository(repository) == "BiTR50x1"
    assert (repository.network.classes, repository.network.class_names) == (2, ()), "LABEL_0 is not a name"
    assert repository.network.preprocessing == Preprocessing(
        448, 448, 3, (0.5,) * 3, (0.5,) * 3, 448 / 512, "bilinear", crop_rounding="down"
    )


TRANSFORMERS_MISTAKES = {
    "transformers' ViTForImageClassification is not": (
        changed(TRANSFORMERS_CONFIG, architectures=["ViTForImageClassification"]),
        None,
    ),
    "transformers' resnet bottleneck 1-1-1-1 is not": (changed(TRANSFORMERS_CONFIG, depths=[1, 1, 1, 1]), None),
    "hidden_act is 'gelu'; the networks of this zoo have 'relu'": (changed(TRANSFORMERS_CONFIG, hidden_act="gelu"), None),
    "downsample_in_first_stage is True": (changed(TRANSFORMERS_CONFIG, downsample_in_first_stage=True), None),
    "hidden_sizes is (64, 128)": (changed(TRANSFORMERS_CONFIG, hidden_sizes=[64, 128]), None),
    "global_padding is 'SAME'": (changed(BIT_CONFIG, global_padding="SAME"), None),
    "width_factor is 3": (changed(BIT_CONFIG, width_factor=3), None),
    "id2label does not name the classes 0 to 1": (changed(BIT_CONFIG, id2label={"1": "a", "2": "b"}), None),
    "num_channels is 1000000000000; it must be at most": (changed(TRANSFORMERS_CONFIG, num_channels=10**12), PROCESSOR),
    "resample is 0; it is one of 2, 3 here": (TRANSFORMERS_CONFIG, changed(PROCESSOR, resample=0)),
    "does not scale pixels by 1/255": (TRANSFORMERS_CONFIG, changed(PROCESSOR, rescale_factor=0.5)),
    "does not resize the shorter side": (TRANSFORMERS_CONFIG, changed(PROCESSOR, size={"shortest_edge": 384})),
    "size is not a shorter side": (TRANSFORMERS_CONFIG, changed(PROCESSOR, size={"height": 224, "width": 224})),
}


@pytest.mark.parametrize("message", TRANSFORMERS_MISTAKES)
def test_a_mistake_of_transformers_config_is_passed_over(message, tmp_path):
    with pytest.raises(UserError) as error:
        model_of_repository(folder(tmp_path, *TRANSFORMERS_MISTAKES[message]))
    assert message in str(error.value)


@pytest.mark.parametrize("config", [{"architectures": None}, {}, [], {"model": "ResNet20V2", "recipe": {}}])
def test_a_config_of_something_else_is_taken_for_one(config, tmp_path):
    """Such as that of a training in its work directory."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert find_repository(tmp_path) is None


def test_a_folder_with_several_files_of_weights_is_guessed_at(tmp_path):
    repository = folder(tmp_path, TIMM_CONFIG)
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        repository.weights()
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"several files of weights, a\.safetensors, b\.safetensors"):
        repository.weights()
    (tmp_path / "model.safetensors").touch()
    assert repository.weights() == tmp_path / "model.safetensors"
