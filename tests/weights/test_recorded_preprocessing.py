"""Catches a network that forgets how its images are prepared, or remembers it where that is wrong."""

import dataclasses
import json
import subprocess
import sys
import zipfile

import keras
import pytest
from safetensors.numpy import save_file
from test_references import state_dict

import keras_resnet
from keras_resnet import UserError, preprocessing_for
from keras_resnet.classifier import with_preprocessing
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.recorded import Record, set_record
from keras_resnet.saving import load_as_saved, to_fast, to_stock
from keras_resnet.weights.checkpoint_formats import PREPROCESSING_PRESETS

EXPECTED = PREPROCESSING_PRESETS["akamaster_cifar10"]
ODD = Preprocessing(33, 17, 3, (0.1, 0.2, 1 / 3), (0.3, 1e-3, 1 / 255), 224 / 232, "bicubic", "bgr")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("akamaster") / "resnet20.safetensors"
    save_file(state_dict("cifar_resnet20"), path)
    return path


@pytest.fixture(scope="module")
def model(file):
    return keras_resnet.ResNet20V1(weights=file)


def saved_and_loaded(model, path, load=keras_resnet.load_model):
    model.save(path)
    return load(path)


KEEPING = {
    "itself": lambda model, path: model,
    "clone_model": lambda model, path: keras.models.clone_model(model),
    "clone of a clone": lambda model, path: keras.models.clone_model(keras.models.clone_model(model)),
    "from_config": lambda model, path: type(model).from_config(model.get_config()),
    "save, load_model": saved_and_loaded,
    "save, Keras' load_model": lambda model, path: saved_and_loaded(model, path, keras.saving.load_model),
    "save, clone_model": lambda model, path: keras.models.clone_model(saved_and_loaded(model, path)),
    "to_stock": lambda model, path: to_stock(model),
    "to_fast": lambda model, path: to_fast(model),
    "to_stock, to_fast": lambda model, path: to_fast(to_stock(model)),
    "to_stock, to_stock": lambda model, path: to_stock(to_stock(model)),
    "to_stock, to_fast, save": lambda model, path: saved_and_loaded(to_fast(to_stock(model)), path),
    "without its head": lambda model, path: keras.Model(model.input, model.get_layer("stage3_unit3_relu2").output),
    "backbone": lambda model, path: keras_resnet.backbone(model).model,
    "load_weights from .keras": lambda model, path: keras_resnet.ResNet20V1(weights=saved(model, path)),
}


def saved(model, path):
    model.save(path)
    return path


@pytest.mark.parametrize("way", KEEPING)
def test_preprocessing_gets_lost_on_the_way(way, model, tmp_path):
    copy = KEEPING[way](model, tmp_path / "m.keras")
    assert preprocessing_for(copy) == EXPECTED
    assert preprocessing_for(model) == EXPECTED


@pytest.mark.parametrize("preprocessing", [ODD, *PREPROCESSING_PRESETS.values()])
def test_a_number_of_the_record_changes_in_a_file(preprocessing, tmp_path):
    model = keras_resnet.ResNet20V2(input_shape=(8, 8, 3))
    set_record(model, Record(preprocessing))
    assert preprocessing_for(saved_and_loaded(model, tmp_path / "m.keras")) == preprocessing


def test_every_network_has_a_place_for_the_record():
    for name in ("ResNet20V1", "ResNet50V2Slim", "ResNet50V2Timm", "PlainNet18"):
        model = getattr(keras_resnet, name)(width_multiplier=0.1, include_top=False)
        set_record(model, Record(ODD))
        assert preprocessing_for(keras.models.clone_model(model)) == ODD


LOSING = {  # Keras' own layers have no place for it
    "stock, clone_model": lambda model, path: keras.models.clone_model(to_stock(model)),
    "stock, save": lambda model, path: saved_and_loaded(to_stock(model), path),
    "weights file": lambda model, path: keras_resnet.ResNet20V1(weights=saved_weights(model, path)),
    "classifier": lambda model, path: with_preprocessing(model, EXPECTED),  # which scales its images itself
}


def saved_weights(model, path):
    model.save_weights(path.with_suffix(".weights.h5"))
    return path.with_suffix(".weights.h5")


@pytest.mark.parametrize("way", LOSING)
def test_what_cannot_keep_the_record_says_something_or_does_not_name_the_presets(way, model, tmp_path):
    with pytest.raises(UserError, match="no weights of known preprocessing; name one of keras_applications_v1"):
        preprocessing_for(LOSING[way](model, tmp_path / "m.keras"))
    assert preprocessing_for(model) == EXPECTED


def test_a_record_changes_layer_names_weights_or_what_keras_loads(model, file, tmp_path):
    """Its only trace is in the configuration of one of our own layers: files in stock layers are as without it."""
    without = keras_resnet.ResNet20V1(weights=file)
    set_record(without, Record())
    assert [weight.path for weight in model.weights] == [weight.path for weight in without.weights]
    configs = [[layer.get_config() for layer in m.layers[1:]] for m in (model, without)]
    differing = [one["name"] for one, other in zip(*configs, strict=True) if one != other]
    assert differing == ["stem_norm"]
    for one, other in zip(to_stock(model).layers[1:], to_stock(without).layers[1:], strict=True):
        assert one.get_config() == other.get_config()
    to_stock(model).save(tmp_path / "stock.keras")
    program = "import sys; sys.modules['keras_resnet'] = None; import keras; keras.saving.load_model(sys.argv[1])"
    command = [sys.executable, "-P", "-c", program, str(tmp_path / "stock.keras")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_other_weights_leave_the_record_of_the_earlier_ones(file, model, tmp_path):
    model.save_weights(tmp_path / "a.weights.h5")
    other = keras.models.clone_model(model)
    keras_resnet.load_weights(other, tmp_path / "a.weights.h5")
    with pytest.raises(UserError, match="known preprocessing"):
        preprocessing_for(other)
    keras_resnet.load_weights(other, file)
    assert preprocessing_for(other) == EXPECTED


def test_a_classifier_made_of_a_loaded_network_has_another_preprocessing(model, tmp_path):
    loaded = saved_and_loaded(model, tmp_path / "m.keras")
    keras_resnet.save_classifier(loaded, tmp_path / "c.keras", list("0123456789"))
    again = keras_resnet.ResNet20V1(weights=tmp_path / "c.keras")
    assert preprocessing_for(again) == EXPECTED


def test_a_damaged_record_is_a_users_error(model, tmp_path):
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = json.dumps(json.dumps(dataclasses.asdict(EXPECTED)))[1:-1].encode()
    assert record in members["config.json"]
    members["config.json"] = members["config.json"].replace(record, b"no json")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="damaged"):
        preprocessing_for(load_as_saved(tmp_path / "m.keras"))
    with pytest.raises(UserError, match=r"m\.keras: .*damaged"):
        keras_resnet.ResNet20V1(weights=tmp_path / "m.keras")
