"""Catches frozen parts that move, parts that learn at another's rate, and a network that forgets its weights' preprocessing."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import scramble
from forked import forked_command
from PIL import Image

import keras_resnet
from keras_resnet import UserError
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.network.classifier import dtype_policy_scope
from keras_resnet.training.network.parts import freeze, lr_multipliers
from keras_resnet.training.network.trainable import TrainableNetwork
from keras_resnet.training.train import train

FROZEN = recipes.get_recipe("finetune", freeze=("stem", "stage1"))


def small():
    return keras_resnet.ResNet20V2(input_shape=(8, 8, 3), classes=3, width_multiplier=0.25)


def trainable(model):
    return {layer.name for layer in model.layers if layer.trainable_variables}


def test_frozen_parts_have_nothing_to_train():
    model = small()
    freeze(model, FROZEN)
    assert {name.partition("_")[0] for name in trainable(model)} == {"stage2", "stage3", "head"}


@pytest.mark.parametrize(("norm_layers", "count"), [("with_parts", 13), ("frozen", 0), ("trained", 19)])
def test_norms_are_frozen_as_asked(norm_layers, count):
    model = small()
    freeze(model, dataclasses.replace(FROZEN, norm_layers=norm_layers))
    assert sum("norm" in name for name in trainable(model)) == count


def test_a_part_that_the_network_lacks_is_refused():
    with pytest.raises(UserError, match=r"freeze names stage4; the parts of .* are stem, stage1, stage2, stage3, head"):
        freeze(small(), recipes.get_recipe("finetune", freeze=("stage4",)))


def test_rates_fall_from_the_head_to_the_stem():
    model = small()
    layers = [variable.path.split("/")[0] for variable in model.trainable_variables]
    factors = dict(zip(layers, lr_multipliers(TrainableNetwork(model), 0.5), strict=True))
    assert factors["head_dense"] == 1
    assert factors["stage3_unit1_conv1"] == 0.5
    assert factors["stem_conv"] == 0.5**4


def test_layers_made_in_another_precision_keep_their_weights_in_float32():
    with dtype_policy_scope("mixed_bfloat16"):
        model = small()
    assert model.get_layer("stem_conv").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.fixture(scope="module")
def own_images(tmp_path_factory):
    """A folder of two classes, dark and light, of images of various sizes."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (folder / name).mkdir()
        for index in range(24):
            pixels = rng.normal(level, 20, (20 + index, 30, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.jpg")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Somebody's classifier of five classes, in a file that knows its preprocessing."""
    path = tmp_path_factory.mktemp("weights") / "five.keras"
    model = keras_resnet.ResNet20V2(input_shape=(None, None, 3), classes=5, width_multiplier=0.25)
    record = Preprocessing(16, 16, 3, (0.4, 0.5, 0.6), (0.2, 0.2, 0.25), crop_fraction=0.8)
    keras_resnet.save_classifier(scramble(model), path, tuple("abcde"), record)
    return path


def finetuning(weights, own_images, **overrides):
    recipe = recipes.get_recipe("finetune", **{"epochs": 2, "batch_size": 8, "freeze": ("stem", "stage1"), **overrides})
    options = keras_resnet.models.options.ModelOptions(width_multiplier=0.25)
    return TrainConfig(
        "ResNet20V2",
        "folder",
        "finetune",
        recipe,
        options=options,
        weights=str(weights),
        skip_head=True,
        data_dir=str(own_images),
    )


def test_fine_tuning_begins_with_the_weights_and_keeps_frozen_parts(weights, own_images, tmp_path):
    """End to end on a folder of images: frozen weights and statistics stay to the bit, the others move."""
    test = train(finetuning(weights, own_images), tmp_path / "run")
    before, after = (keras.saving.load_model(path) for path in (weights, tmp_path / "run" / "model.keras"))
    assert test["images"] > 0
    for layer in after.layers:
        if not layer.weights or layer.name.startswith("head_dense"):
            continue
        theirs = before.get_layer(layer.name).get_weights()
        same = all(np.array_equal(one, other) for one, other in zip(layer.get_weights(), theirs, strict=True))
        assert same == layer.name.startswith(("stem", "stage1")), layer.name
    assert after.output_shape == (None, 2)


def test_the_preprocessing_of_the_weights_goes_into_the_new_classifier(weights, own_images, tmp_path):
    train(finetuning(weights, own_images, mixup=0.2, label_smoothing=0.1), tmp_path / "run")
    record = keras_resnet.metadata.ClassifierMetadata.read_from(tmp_path / "run" / "model.keras")
    assert record.labels == ("dark", "light")
    assert record.preprocessing == Preprocessing(16, 16, 3, (0.4, 0.5, 0.6), (0.2, 0.2, 0.25), crop_fraction=0.8)
    page = Path(tmp_path / "run" / "report.html").read_text()
    assert "dark" in page


def test_evaluate_and_export_take_the_same_images_of_various_sizes(weights, own_images, tmp_path):
    """Catches commands that know decoded sets only, and an accuracy that is not the one that training reported."""
    test = train(finetuning(weights, own_images), tmp_path / "run")
    arguments = (f"--model_path={tmp_path / 'run' / 'model.keras'}", f"--data_dir={own_images}")
    done = forked_command("evaluate", *arguments)
    assert (done.returncode, done.err) == (0, "")
    assert done.out.startswith(f"top-1 {test['accuracy']:.2%} ")
    done = forked_command("export", *arguments, "--formats=onnx", f"--output_dir={tmp_path / 'out'}")
    assert (done.returncode, done.err) == (0, "")


@pytest.mark.parametrize("channels", [1, 3])
def test_gray_weights_take_color_images_and_the_other_way_round(channels, own_images, tmp_path):
    """With random crops too, which are cut while an image is decoded."""
    path, images = tmp_path / "weights.keras", own_images
    model = keras_resnet.ResNet20V2(input_shape=(None, None, channels), classes=5, width_multiplier=0.25)
    record = Preprocessing(16, 16, channels, (0.4,) * channels, (0.2,) * channels)
    keras_resnet.save_classifier(scramble(model), path, tuple("abcde"), record)
    if channels == 3:
        images = tmp_path / "gray"
        for image in own_images.glob("*/*.jpg"):
            (images / image.parent.name).mkdir(parents=True, exist_ok=True)
            Image.open(image).convert("L").save(images / image.relative_to(own_images))
    test = train(finetuning(path, images, epochs=1), tmp_path / "run")
    assert keras.saving.load_model(tmp_path / "run" / "model.keras").input_shape == (None, 16, 16, channels)
    assert np.isfinite(test["loss"])


def test_another_number_of_classes_needs_skip_head(weights, own_images, tmp_path):
    config = dataclasses.replace(finetuning(weights, own_images), skip_head=False)
    with pytest.raises(UserError, match="skip_head"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
