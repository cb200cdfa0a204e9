"""`keras-resnet train`: a network trained in one process, or in one of several workers."""

import dataclasses
from typing import Any

from keras_resnet import environment
from keras_resnet.errors import UserError, comma_join
from keras_resnet.models import variants
from keras_resnet.models.variants import VARIATIONS
from keras_resnet.remote import AnyPath, as_path, is_remote
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig, read_config

from .command import Command
from .field_help import DATA, RECIPE_FLAG, RECIPE_HELP, RUN, TRAINING_HELP
from .flags import FlagHelp, Flags
from .network import OPTIONS, check_model, define_network, model_options
from .output import print_lines

RECIPE_FIELDS = tuple(field.name for field in dataclasses.fields(recipes.Recipe) if field.name != "reference")
NETWORK_FIELDS = ("model", *VARIATIONS)
RUN_FIELDS = tuple(
    field.name
    for field in dataclasses.fields(TrainConfig)
    if field.name not in (*NETWORK_FIELDS, "recipe_name", "recipe", "options")
)


def define_flags(flags: Flags) -> None:
    continues = (
        "Folder of the run, or a URL such as gs://bucket/run: it is created, or, if it holds a run with these flags, that run "
        "continues."
    )
    flags.define("workdir", str, None, FlagHelp(RUN, continues, placeholder="FOLDER"))
    repeats = "config.json of an earlier run to repeat; the other flags that are given change it."
    flags.define("config", str, None, FlagHelp(RUN, repeats, placeholder="FILE"))
    define_network(flags, "none; needed unless --config names one")
    before_recipe = [name for name in RUN_FIELDS if TRAINING_HELP[name].group in (RUN, DATA)]
    flags.define_fields(TrainConfig, before_recipe, TRAINING_HELP)
    flags.define("recipe", str, None, RECIPE_FLAG)
    flags.define_fields(recipes.Recipe, RECIPE_FIELDS, RECIPE_HELP, default=None)
    flags.define_fields(TrainConfig, [name for name in RUN_FIELDS if name not in before_recipe], TRAINING_HELP)


def train(flags: Flags, arguments: list[str]) -> None:
    """Trains a network, or continues the run in --workdir, and saves the classifier there as model.keras."""
    config = make_config(flags)
    workdir = as_path(flags.workdir)
    check_before_tensorflow(config, workdir, flags.verbosity)
    environment.configure(flags.verbosity)
    from keras_resnet.training import train as training

    test = training.train(config, workdir)
    if test:
        path = workdir / training.MODEL_FILE
        print_lines(f"test accuracy {test['accuracy']:.2%}, loss {test['loss']:.4f}; the classifier is {path}")


def check_before_tensorflow(config: TrainConfig, workdir: AnyPath, verbosity: str) -> None:
    """Raises a `UserError` for what can be known to be wrong without TensorFlow, see `preflight.check_run`."""
    check_model(config.model, **config.variations)
    environment.configure(verbosity, tensorflow=False)
    from keras_resnet.training.network.preflight import check_run

    check_run(config, workdir)


def make_config(flags: Flags) -> TrainConfig:
    """The configuration in --config, changed by the other flags that are given."""
    base = base_config(flags) if flags.config else None
    if missing := [f"--{name}" for name in ("model", "dataset") if not (base or flags.value(name))]:
        raise UserError(f"train needs {comma_join(missing)}, or --config; see keras-resnet train --help")
    fields: dict[str, Any] = flags.given((*NETWORK_FIELDS, *RUN_FIELDS))
    changes = flags.given(RECIPE_FIELDS)
    name, recipe = chosen_recipe(flags, base)
    fields |= {"recipe_name": name, "recipe": dataclasses.replace(recipe, **changes)}
    if base is None:
        return TrainConfig(**fields, options=model_options(flags))
    return dataclasses.replace(base, **fields, options=dataclasses.replace(base.options, **flags.given(OPTIONS)))


def base_config(flags: Flags) -> TrainConfig:
    """The configuration in --config."""
    if is_remote(flags.config):
        environment.configure(flags.verbosity)  # before TensorFlow is imported to read it
    return read_config(flags.config)


def chosen_recipe(flags: Flags, base: TrainConfig | None) -> tuple[str, recipes.Recipe]:
    """The name and the values of --recipe, of --config, or of the recipe that fits what is trained."""
    if base and not flags.is_given("recipe"):
        return base.recipe_name, base.recipe
    name = flags.recipe or default_recipe(flags)
    return name, recipes.get_recipe(name)


def default_recipe(flags: Flags) -> str:
    """The recipe named like the data set; with --weights, the one for fine-tuning; else that of the network's family."""
    if flags.dataset in recipes.RECIPES:
        return flags.dataset
    if flags.weights:
        return "finetune"
    return "he2016_imagenet" if variants.get_variant(flags.model).family == "imagenet" else "short"


def effective_defaults(flags: Flags) -> tuple[str, dict[str, Any]]:
    """The values of the recipe and the configuration that the flags name, for the help."""
    if flags.config:
        config = base_config(flags)
        name, recipe = chosen_recipe(flags, config)
        values = {field: getattr(config, field) for field in (*NETWORK_FIELDS, *RUN_FIELDS)} | vars(config.options)
        return f"The defaults shown are those of {flags.config} and of recipe {name}.", {**values, **vars(recipe)}
    if flags.recipe or (flags.model and flags.dataset):
        name, recipe = chosen_recipe(flags, None)
        return f"The recipe's defaults shown are those of {name} ({recipe.reference}).", vars(recipe)
    rule = "With --recipe=NAME or --config=FILE, this help shows the defaults of that recipe or run."
    return rule, dict.fromkeys(RECIPE_FIELDS, "the recipe's")


COMMAND = Command(
    train,
    define_flags,
    required=("workdir",),
    example="keras-resnet train --model=ResNet20V2 --dataset=digits --workdir=runs/digits",
    effective_defaults=effective_defaults,
)
