"""`python -m keras_resnet.cli.pack`: a finished run made into trained weights of this package. For its maintainers.

Not a command of `keras-resnet`: it writes into the package's own folder.
"""

import dataclasses
import datetime
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_resnet import environment
from keras_resnet.errors import UserError, comma_join
from keras_resnet.files import atomic, sha256_of
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models.options import ModelOptions
from keras_resnet.training.config import CONFIG_FILE, TrainConfig, read_config
from keras_resnet.training.recipes import get_recipe
from keras_resnet.weights.pretrained.data_sources import DATA_SOURCES
from keras_resnet.weights.pretrained.entries import FOLDER, PretrainedWeights, file_name

from . import command
from .command import Command
from .field_help import TRAINING_HELP
from .flags import FlagHelp, Flags
from .output import print_lines

if TYPE_CHECKING:
    import keras

    from keras_resnet.training.data.splits import ArraySplit

TRAINED = "Trained weights"
LICENSE = "Apache-2.0"
METRICS = "metrics.jsonl"
TIES = 1e-3  # of the test images, that batches of another size may decide otherwise
NOT_FLAGS = ("model", "dataset", "recipe_name", "recipe", "options", "seed", *TrainConfig.RUNTIME_FIELDS)


def define_flags(flags: Flags) -> None:
    name = FlagHelp(TRAINED, "What `weights=` is to call them: the name of the images.", tuple(DATA_SOURCES))
    flags.define("name", str, None, name, one_of=tuple(DATA_SOURCES))
    workdir = FlagHelp(TRAINED, "Folder of the finished run, as keras-resnet train has left it.", placeholder="FOLDER")
    flags.define("workdir", str, None, workdir)
    flags.define("data_dir", str, None, dataclasses.replace(TRAINING_HELP["data_dir"], group=TRAINED))
    folder = FlagHelp(TRAINED, "Where to write.", default="the package's own folder", placeholder="FOLDER")
    flags.define("folder", str, None, folder)


def pack_run(flags: Flags, arguments: list[str]) -> None:
    """Writes the weights of a run in float16, measures them on its test split, and records all of it in the index."""
    environment.configure(flags.verbosity)
    entry = pack(Path(flags.workdir), flags.name, flags.data_dir, Path(flags.folder or FOLDER))
    print_lines(repr(entry), f"of the images, {entry.correct_in_float32} are right in float32 and {entry.correct} as packed")


def pack(workdir: Path, name: str, data_dir: str | None, folder: Path) -> PretrainedWeights:
    """Packs the classifier of a run; the packed file itself is what is measured. An earlier one of the same name is replaced.

    Raises:
        UserError: if the run is not finished, its classifier or data are not those that its files speak of, or if float16 is
            not precise enough.
    """
    from keras_resnet.classifier import pretrained_classifier
    from keras_resnet.saving import load_model
    from keras_resnet.training.data.dataset import Dataset
    from keras_resnet.weights.pretrained.packing import check_rounding, check_size, write_entry, write_weights
    from keras_resnet.weights.structure import Structure

    config, tested, path = read_config(workdir / CONFIG_FILE), read_test_record(workdir), workdir / "model.keras"
    metadata = ClassifierMetadata.read_from(path)
    if metadata is None or metadata.model != config.model:
        raise UserError(f"{path} is not the classifier of the run in {workdir}")
    check_is_named_network(config)
    if config.dataset not in (name, "folder"):
        raise UserError(f"the run is on {config.dataset}: its weights cannot be called {name}")
    dataset = Dataset(config.dataset, data_dir or config.data_dir)
    if dataset.class_names != metadata.labels:
        raise UserError(f"{path} has other class names than its data set: {comma_join(metadata.labels, 3)}")
    test = dataset.test.prepared(metadata.preprocessing).readable()
    model = load_model(path)
    structure = Structure.of_model(model)
    assert structure, path
    correct_in_float32 = count_correct(model, test)
    if abs(correct_in_float32 - tested["accuracy"] * len(test)) > TIES * len(test) + 0.5 or tested["images"] != len(test):
        raise UserError(
            f"{path} has {correct_in_float32} of {len(test)} test images right; by {METRICS} it was "
            f"{tested['accuracy']:.2%} of {tested['images']}"
        )
    entry = PretrainedWeights(
        model=config.model,
        name=name,
        structure=structure,
        dataset=config.dataset,
        class_names=metadata.labels,
        preprocessing=metadata.preprocessing,
        correct=0,
        images=len(test),
        correct_in_float32=correct_in_float32,
        command=training_command(config, name),
        recipe_name=config.recipe_name,
        recipe=dataclasses.asdict(config.recipe),
        seed=config.seed,
        seconds=round(tested["seconds"], 1),
        date=end_of(workdir),
        versions=versions(),
        bytes=0,
        sha256="",
        license=LICENSE,
    )
    with atomic(folder / file_name(config.model, name)) as temporary:
        write_weights(model, temporary)
        correct = count_correct(pretrained_classifier(entry, temporary), test)
        check_rounding(correct, correct_in_float32, len(test))
        size, digest = temporary.stat().st_size, sha256_of(temporary)
        entry = dataclasses.replace(entry, correct=correct, bytes=size, sha256=digest)
        check_size(entry, folder)
    write_entry(entry, folder)
    return entry


def read_test_record(workdir: Path) -> dict[str, float]:
    """What a run has measured on its test split at its end."""
    from keras_resnet.training.callbacks.loggers import read_metrics

    tested = next((record["test"] for record in reversed(read_metrics(workdir)) if record.get("test")), None)
    if tested is None:
        raise UserError(f"{workdir} holds no finished run: {METRICS} has no accuracy on the test split")
    return tested


def check_is_named_network(config: TrainConfig) -> None:
    """Raises a `UserError` for a varied network: `weights=` finds weights by the network's name."""
    varied = {name: getattr(config, name) for name in ("block", "unit", "shortcut") if getattr(config, name) is not None}
    if config.options.width_multiplier != 1:
        varied["width_multiplier"] = config.options.width_multiplier
    if varied:
        raise UserError(
            f"the run is not of {config.model} as it is: it has {comma_join(f'{k}={v}' for k, v in varied.items())}"
        )


def count_correct(model: "keras.Model", test: "ArraySplit") -> int:
    """How many images a classifier of raw pixels has right, in batches as `evaluate` runs them."""
    import numpy as np

    from keras_resnet.export.formats.format import in_batches
    from keras_resnet.export.formats.keras_file import KerasRunner
    from keras_resnet.metrics import predicted_labels

    outputs = in_batches(KerasRunner(model).run, test.images)
    return int(np.sum(predicted_labels(outputs["probabilities"]) == test.labels))


def training_command(config: TrainConfig, name: str) -> str:
    """The command line that repeats a run, without what is a matter of the machine."""
    flags = {"model": config.model, "dataset": config.dataset}
    if config.dataset == "folder":
        flags["data_dir"] = name
    if config.recipe_name != config.dataset:
        flags["recipe"] = config.recipe_name
    usual = TrainConfig(config.model, config.dataset, config.recipe_name, get_recipe(config.recipe_name))
    flags |= changed(usual, config, (field.name for field in dataclasses.fields(config) if field.name not in NOT_FLAGS))
    flags |= changed(usual.options, config.options, (field.name for field in dataclasses.fields(ModelOptions)))
    recipe_fields = (field.name for field in dataclasses.fields(config.recipe) if field.name != "reference")
    flags |= changed(usual.recipe, config.recipe, recipe_fields)
    flags |= {"seed": config.seed, "workdir": f"runs/{config.model}-{name}"}
    return shlex.join(["keras-resnet", "train", *(as_flag(name, value) for name, value in flags.items())])


def changed(usual: Any, actual: Any, names: Any) -> dict[str, Any]:
    """The fields of two records that differ, as the second has them."""
    return {name: getattr(actual, name) for name in names if getattr(actual, name) != getattr(usual, name)}


def as_flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"


def end_of(workdir: Path) -> str:
    """The day on which a run ended, in UTC."""
    return datetime.datetime.fromtimestamp((workdir / METRICS).stat().st_mtime, datetime.UTC).date().isoformat()


def versions() -> dict[str, str]:
    import platform

    import keras
    import tensorflow as tf

    return {"TensorFlow": tf.__version__, "Keras": keras.__version__, "Python": platform.python_version()}


COMMAND = Command(
    pack_run,
    define_flags,
    required=("name", "workdir"),
    example="python -m keras_resnet.cli.pack --name=digits --workdir=runs/digits",
)

if __name__ == "__main__":
    sys.exit(command.main({"pack": COMMAND}, ["pack", *sys.argv[1:]]))
