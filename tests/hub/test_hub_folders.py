"""Catches a folder like a repository of the hub that costs memory, a traceback, or what it says of its classes."""

import json

import pytest
from conftest import assert_refused
from hub_repositories import CLASSES, TIMM_CONFIG, TRANSFORMERS_CONFIG, changed
from safetensors.numpy import save_file
from test_references import state_dict

import keras_resnet
from keras_resnet import UserError, pretrained
from keras_resnet.metadata import ClassifierMetadata

TRANSFORMERS_RESNET18 = changed(
    TRANSFORMERS_CONFIG, layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512]
)  # without a preprocessor_config.json


def write(folder, config, leave_out=()):
    """A folder with a config.json and resnet18's deterministic weights, of as many classes as hub_repositories has."""
    tensors = {name: tensor for name, tensor in state_dict("resnet18").items() if name not in leave_out}
    tensors = {name: tensor[: len(CLASSES)].copy() if name.startswith("fc.") else tensor for name, tensor in tensors.items()}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(("leave_out", "found"), [((), "a classifier of 3"), (("fc.weight",), "no classifier")])
def test_a_network_of_gigabytes_is_built_for_a_small_file(leave_out, found, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "constructor", lambda name: pytest.fail("a network is built"))
    write(tmp_path, changed(TIMM_CONFIG, num_classes=1_000_000, label_names=None), leave_out)
    with pytest.raises(UserError) as error:
        keras_resnet.from_pretrained(tmp_path)
    assert f"{tmp_path}: its config.json says 1,000,000 classes, and {tmp_path}" in str(error.value)
    assert f"has {found}" in str(error.value)


def test_import_builds_a_network_of_gigabytes_for_a_small_file(tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(keras_resnet, "ResNet18V1", lambda **arguments: pytest.fail("a network is built"), raising=False)
    write(tmp_path, changed(TIMM_CONFIG, num_classes=5000, label_names=[f"c{number}" for number in range(5000)]))
    done = in_process("import", f"--weights={tmp_path}", f"--output_path={tmp_path / 'x.keras'}")
    assert_refused(done, "config.json says 5,000 classes, and", "has a classifier of 3")
    assert not (tmp_path / "x.keras").exists()


def test_a_license_is_refused_when_the_network_has_been_built(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "constructor", lambda name: pytest.fail("a network is built"))
    write(tmp_path, TIMM_CONFIG)
    (tmp_path / "README.md").write_text("---\nlicense: " + "m" * 101 + "\n---\n")
    with pytest.raises(UserError, match=r"README\.md: license is 'mmm"):
        keras_resnet.from_pretrained(tmp_path)


def test_import_forgets_the_classes_of_a_folder_that_does_not_say_how_images_are_prepared(tmp_path, in_process):
    write(tmp_path, TRANSFORMERS_RESNET18)
    output = tmp_path / "x.keras"
    done = in_process("import", f"--weights={tmp_path}", "--preprocessing=torchvision_v2", f"--output_path={output}")
    assert done.returncode == 0, done.err
    metadata = ClassifierMetadata.read_from(output)
    assert metadata.labels == CLASSES
    assert metadata.preprocessing == keras_resnet.preprocessing_for("torchvision_v2")
    assert metadata.origin.weights == str(tmp_path)


@pytest.mark.parametrize("name", ["a" * 5000, "a/" * 3000, "a\0b"], ids=["long", "deep", "null"])
def test_a_name_that_no_file_can_have_gives_a_traceback(name):
    with pytest.raises(UserError, match="is not known: it is a repository such as"):
        keras_resnet.from_pretrained(name)
    model = keras_resnet.ResNet20V2(classes=2, width_multiplier=0.25)
    with pytest.raises(UserError, match="no weights"):
        keras_resnet.load_weights(model, name)


@pytest.mark.parametrize("value", [123, None, b"x", ["x"]])
def test_what_is_no_path_gives_a_traceback(value):
    with pytest.raises(UserError, match=r"^weights are .*; they are a repository such as"):
        keras_resnet.from_pretrained(value)


def test_an_unknown_option_gives_a_traceback_or_is_passed_over(tmp_path):
    with pytest.raises(UserError, match="no option foo; its further options are stochastic_depth, zero_init_residual"):
        keras_resnet.from_pretrained(tmp_path, foo=1)
    with pytest.raises(UserError, match="builds the network of the weights: leave out block"):
        keras_resnet.from_pretrained(tmp_path, block="basic")


def test_a_path_that_exists_is_said_to_be_unknown(tmp_path):
    (tmp_path / "weights.h5").touch()
    for path in (tmp_path, tmp_path / "weights.h5"):
        with pytest.raises(UserError, match=r"has no config\.json of timm or transformers, .*ResNet50V1_5\(weights=\.\.\.\)"):
            keras_resnet.from_pretrained(path)


def test_a_message_names_the_folder_twice(tmp_path):
    write(tmp_path, changed(TIMM_CONFIG, global_pool="max"))
    with pytest.raises(UserError) as error:
        keras_resnet.from_pretrained(tmp_path)
    assert str(error.value) == f"{tmp_path}, config.json: global_pool is 'max'; it must be avg"


def test_no_classes_at_all_give_a_random_head_of_a_thousand(tmp_path):
    write(tmp_path, TIMM_CONFIG)
    with pytest.raises(UserError, match="classes is 0; it is a whole number from 1 up"):
        keras_resnet.from_pretrained(tmp_path, classes=0)
