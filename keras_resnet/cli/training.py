"""Training, in one process or in several."""

import dataclasses
import sys
from pathlib import Path

from keras_resnet import environment
from keras_resnet.errors import UserError, comma_join
from keras_resnet.models import variants
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig, read_config

from . import flags as command_flags
from .common import check_model, options_of


def train(flags, arguments):
    """Trains a network, or continues the run in --workdir, and leaves model.keras there."""
    config = configuration(flags)
    check_model(config)
    environment.configure(flags.verbosity)
    from keras_resnet.training.train import MODEL_FILE
    from keras_resnet.training.train import train as run

    workdir = Path(flags.workdir)
    test = run(config, workdir)
    if test:
        print(f"test accuracy {test['accuracy']:.2%}, loss {test['loss']:.4f}; the classifier is {workdir / MODEL_FILE}")


def configuration(flags):
    """What --config says, and on top of it what the other flags say."""
    base = read_config(flags.config) if flags.config else None
    given = {name: flags[name].value for name in flags if flags[name].present}
    fields = {name: given[name] for name in command_flags.run_fields() if name in given}
    if missing := [f"--{name}" for name in ("model", "dataset") if not (base or given.get(name))]:
        raise UserError(f"train needs {comma_join(missing)}, or --config; see keras-resnet train --help")
    overrides = {name: given[name] for name in command_flags.recipe_fields() if name in given}
    overrides.update({name: tuple(overrides[name]) for name in ("milestones", "freeze") if name in overrides})
    if "milestones" in overrides:
        overrides["milestones"] = tuple(number("milestones", share) for share in overrides["milestones"])
    options = {name: given[name] for name in command_flags.option_fields() if name in given}
    if base is None:
        name = given.get("recipe") or default_recipe(fields)
        return TrainConfig(**fields, recipe_name=name, recipe=recipes.get_recipe(name, **overrides), options=options_of(flags))
    name = given.get("recipe", base.recipe_name)
    recipe = recipes.get_recipe(name, **overrides) if "recipe" in given else dataclasses.replace(base.recipe, **overrides)
    options = dataclasses.replace(base.options, **options)
    return dataclasses.replace(base, **fields, recipe_name=name, recipe=recipe, options=options)


def default_recipe(fields):
    """That of the data set's name; to bring weights on, the one for it; else that of the network's family."""
    if fields["dataset"] in recipes.RECIPES:
        return fields["dataset"]
    if fields.get("weights"):
        return "finetune"
    return "he2016_imagenet" if variants.get_variant(fields["model"]).family == "imagenet" else "short"


def number(name, text):
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--{name} is {text!r}; it is a list of numbers such as 0.5,0.75") from error


def launch(flags, arguments):
    """Runs a command in several processes on this machine that train together, and again if one of them dies."""
    from keras_resnet.training.distribute.launcher import launch as start

    if arguments[0] != "train":
        raise UserError(f"launch takes `train` and its flags behind --, not {arguments[0]!r}")
    if not any(argument.lstrip("-").partition("=")[0] == "strategy" for argument in arguments):
        arguments = [*arguments, "--strategy=multi_worker"]
    program = [sys.executable, "-P", "-c", "from keras_resnet.cli import main; main()"]
    return start([*program, *arguments], flags.workers, flags.max_restarts)
