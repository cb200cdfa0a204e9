"""Catches a flag that nobody explains, a help that is wrong about a default or a range, or too wide."""

import dataclasses
import json
import math
import shlex

import pytest

from keras_resnet import UserError, cli
from keras_resnet.cli import export, field_help, train
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.source_model.loading import NORMALIZATIONS
from keras_resnet.models import shortcuts
from keras_resnet.models.options import ModelOptions
from keras_resnet.training import config, recipes
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.distribute.strategies import STRATEGIES

FLAGS = [(command, flag) for command in cli.COMMANDS for flag in cli.COMMANDS[command].new_flags()]
CONFIG = TrainConfig("ResNet20V2", "digits", "short", recipes.get_recipe("short"))


@pytest.fixture
def shown(in_process, monkeypatch):
    """The help that a command line prints on a terminal of so many columns."""

    def show(*arguments, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = in_process(*arguments)
        assert (done.returncode, done.err) == (0, "")
        return done.out

    return show


def default_of(flag, text):
    """What the help gives as the default of a flag."""
    entry = " ".join(text.partition(f"  --{flag}=")[2].partition("\n  --")[0].split())
    return entry.rpartition("default: ")[2].partition("]")[0]


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_every_flag_says_what_it_does_and_what_it_takes(command, flag):
    flags = cli.COMMANDS[command].new_flags()
    about = flags.help_of(flag)
    assert about.group
    assert about.text.endswith(".")
    assert "overrides the recipe" not in about.text
    assert about.valid or flags.kind(flag) not in (int, float)


def test_every_field_of_a_run_is_a_flag():
    """`define_fields` fails for one without a help; here for one without a flag."""
    flags = set(cli.COMMANDS["train"].new_flags())
    fields = {field.name for cls in (TrainConfig, recipes.Recipe, ModelOptions) for field in dataclasses.fields(cls)}
    assert fields - flags == {"recipe_name", "options", "reference"}


def test_a_flag_has_one_type_in_all_commands():
    kinds = {}
    for command, flag in FLAGS:
        kinds.setdefault(flag, set()).add(cli.COMMANDS[command].new_flags().kind(flag))
    assert [flag for flag, found in kinds.items() if len(found) > 1] == []


def test_choices_that_are_written_twice_are_the_same():
    """The help reads no module that needs TensorFlow."""
    assert tuple(STRATEGIES) == config.STRATEGIES
    assert [name.partition("(")[0] for name in field_help.SHORTCUTS] == list(shortcuts.SHORTCUTS)
    for name in field_help.SHORTCUTS:
        shortcuts.get_shortcut(name)
    assert tuple(NORMALIZATIONS) == export.NORMALIZATIONS


def test_the_defaults_of_export_are_those_of_its_configuration():
    flags, defaults = (
        cli.COMMANDS["export"].new_flags(),
        {field.name: field.default for field in dataclasses.fields(ExportConfig)},
    )
    assert flags.values(export.CONFIG_HELP) == {name: defaults[name] for name in export.CONFIG_HELP}


# What each range of a field of `Recipe` lets through and what not.
RANGES = {
    "at least 1": ((1,), (0,)),
    field_help.SHARE: ((0.0,), (-0.1, 1.0)),
    field_help.RATE: ((1.0,), (0.0, 1.1)),
    field_help.NOT_NEGATIVE: ((0,), (-1, math.inf)),
}
NUMBERS = [(flag, about.valid) for flag, about in field_help.RECIPE_HELP.items() if about.valid in RANGES]


@pytest.mark.parametrize(("flag", "valid"), NUMBERS)
def test_the_range_that_is_shown_is_the_range_that_is_taken(flag, valid):
    allowed, refused = RANGES[valid]
    for value in allowed:
        recipes.get_recipe("digits", **{flag: value})
    for value in refused:
        with pytest.raises(UserError, match=flag):
            recipes.get_recipe("digits", **{flag: value})


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_the_help_shows_the_values_of_a_recipe_as_the_defaults(name, shown):
    text, recipe = shown("train", f"--recipe={name}", "--help"), recipes.RECIPES[name]
    assert default_of("epochs", text) == str(recipe.epochs)
    assert default_of("optimizer", text) == recipe.optimizer
    assert float(default_of("learning_rate", text)) == recipe.learning_rate
    assert default_of("milestones", text) == (",".join(f"{share:.6g}" for share in recipe.milestones) or "none")
    assert f"--[no]flip Mirror half of the images from left to right. [default: {'on' if recipe.flip else 'off'}]" in " ".join(
        text.split()
    )


def test_the_help_shows_the_defaults_of_what_else_decides_them(shown, tmp_path):
    assert default_of("epochs", shown("train", "--help")) == "the recipe's"
    assert default_of("epochs", shown("train", "-h", "--model=ResNet20V2", "--dataset=digits")) == "30"
    config = dataclasses.replace(CONFIG, seed=7, recipe=dataclasses.replace(CONFIG.recipe, epochs=3))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    text = shown("train", f"--config={tmp_path / 'config.json'}", "--help")
    assert (default_of("epochs", text), default_of("seed", text), default_of("model", text)) == ("3", "7", "ResNet20V2")


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("--recipe=best",), "unknown recipe 'best'"),
        (("--config=none.json",), "none.json cannot be read"),
        (("--epochs=three",), "epochs"),
        (("--epoch=3", "extra"), "did you mean --epochs?"),
        (("--model=ResNet21V2", "--dataset=cifar10"), "ResNet21V2"),
        (("--flagfile=none",), "none"),
    ],
)
def test_help_is_given_whatever_else_is_wrong(arguments, mistake, shown):
    text = shown("train", *arguments, "--help")
    assert "This command line has a mistake:" in text
    assert mistake in " ".join(text.split())
    assert default_of("epochs", text) == "the recipe's"


@pytest.mark.parametrize("name", ["", *cli.COMMANDS])
def test_the_help_fits_the_terminal(name, shown):
    for columns, widest in ((80, 80), (300, 100)):
        text = shown(*filter(None, (name, "--help")), columns=columns)
        assert max(map(len, text.splitlines())) <= widest


def test_the_overview_has_every_command_and_examples_that_parse(shown):
    text = shown("--help")
    for name in cli.COMMANDS:
        assert f"\n  {name} " in text
    examples = text.partition("Examples:\n")[2].partition("\n\n")[0].replace("\\\n", "").splitlines()
    assert len(examples) == len(cli.COMMANDS)
    for line in examples:
        _, name, *arguments = shlex.split(line)
        cli.COMMANDS[name].parse(name, arguments)


def test_a_switch_is_turned_off_as_the_help_shows_it(shown):
    assert "--[no]fold\n" in shown("export", "--help")
    flags, _ = cli.COMMANDS["export"].parse("export", ["--model_path=m", "--output_dir=o", "--nofold"])
    assert flags.fold is False


def test_help_after_two_dashes_is_the_workers(in_process):
    """`launch` itself only reads what stands before them."""
    flags, others = cli.COMMANDS["launch"].parse("launch", ["--workers=2", "--", "train", "--help"])
    assert (flags.workers, others) == (2, ["train", "--help"])


def test_every_recipe_field_has_its_place_in_the_help():
    assert set(field_help.RECIPE_HELP) == set(train.RECIPE_FIELDS)
    assert set(field_help.TRAINING_HELP) == set(train.RUN_FIELDS)
