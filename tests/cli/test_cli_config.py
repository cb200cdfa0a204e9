"""Catches a configuration that does not repeat its run, or that lets a run be continued as another one."""

import dataclasses
import json

import pytest

from keras_resnet import UserError, cli
from keras_resnet.cli.train import make_config
from keras_resnet.models.options import ModelOptions
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig, read_config
from keras_resnet.training.workdir import open_workdir

CONFIG = TrainConfig(
    "ResNet20V2",
    "digits",
    "short",
    recipes.get_recipe("short", milestones=(0.5,), freeze=("stem",)),
    options=ModelOptions(stochastic_depth=0.2),
)


def parsed(*arguments):
    flags, _ = cli.COMMANDS["train"].parse("train", ["--workdir=w", *arguments])
    return make_config(flags)


def test_a_configuration_survives_its_file(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    assert read_config(tmp_path / "config.json") == CONFIG


def test_config_repeats_a_run_but_for_the_flags_that_are_given(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG.to_dict()))
    assert parsed(f"--config={path}") == CONFIG
    changed = parsed(f"--config={path}", "--seed=3", "--epochs=7", "--zero_init_residual")
    assert changed == dataclasses.replace(
        CONFIG,
        seed=3,
        recipe=dataclasses.replace(CONFIG.recipe, epochs=7),
        options=ModelOptions(stochastic_depth=0.2, zero_init_residual=True),
    )
    other = parsed(f"--config={path}", "--recipe=digits", "--epochs=7")
    assert (other.recipe_name, other.recipe) == ("digits", recipes.get_recipe("digits", epochs=7))


@pytest.mark.parametrize(
    ("arguments", "recipe"),
    [
        (("--model=ResNet20V2", "--dataset=digits"), "digits"),
        (("--model=ResNet20V2", "--dataset=cifar10"), "short"),
        (("--model=ResNet50V2", "--dataset=imagenet2012"), "he2016_imagenet"),
        (("--model=ResNet50V1", "--dataset=folder", "--weights=imagenet"), "finetune"),
        (("--model=ResNet50V1", "--dataset=digits", "--recipe=he2016_cifar"), "he2016_cifar"),
    ],
)
def test_the_recipe_fits_what_is_trained(arguments, recipe):
    assert parsed(*arguments).recipe_name == recipe


def test_how_a_run_is_done_may_change_when_it_continues(tmp_path):
    open_workdir(tmp_path / "run", CONFIG).close()
    open_workdir(tmp_path / "run", dataclasses.replace(CONFIG, strategy="mirrored", steps_per_execution=5)).close()
    with pytest.raises(UserError, match="precision 'float32', not 'mixed_bfloat16'"):
        open_workdir(tmp_path / "run", dataclasses.replace(CONFIG, precision="mixed_bfloat16"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"recipe": 5, "options": {}}', '{"model": "ResNet20V2"}'])
def test_a_file_that_is_not_a_configuration_is_refused(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        read_config(tmp_path / "config.json")


def test_a_configuration_of_an_earlier_version_is_refused_in_one_line(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": "ResNet20V2", "recipe": "digits", "settings": {"batch_size": 8}, "options": {}}))
    with pytest.raises(UserError, match=r"config\.json was written by an earlier version of keras-resnet.*cannot read$"):
        read_config(path)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [("recipe", "batch_size", 64.5), ("recipe", "crop_padding", 1.5), (None, "data_dir", 5), (None, "dataset", None)],
)
def test_a_value_of_another_type_is_refused(part, field, value, tmp_path):
    """Catches a traceback from deep within, minutes later, about a file that somebody has edited."""
    record = CONFIG.to_dict()
    (record[part] if part else record)[field] = value
    (tmp_path / "config.json").write_text(json.dumps(record))
    shown = json.dumps(value)
    with pytest.raises(UserError, match=rf"config\.json cannot be read: .* {field} is {shown}, which is not of type "):
        read_config(tmp_path / "config.json")


def test_the_name_of_a_recipe_is_not_taken_for_the_recipe():
    """As in code that was written for an earlier version."""
    with pytest.raises(UserError, match="recipe is 'short'; it must be a Recipe"):
        TrainConfig("ResNet20V2", "digits", "short", "short")
