"""The `keras-resnet` command: the only place that knows all rooms, and the only one that reads flags."""

import dataclasses
import functools
import sys
from pathlib import Path

import numpy as np
from absl import flags as absl_flags
from rich.console import Console
from rich.table import Table

from keras_resnet import command_line, environment
from keras_resnet.command_line import Command
from keras_resnet.errors import UserError
from keras_resnet.training import recipes

# Rooms that load TensorFlow are imported inside the commands, once the environment is prepared.


def list_models(flags, arguments):
    """Shows every named network."""
    from keras_resnet.variants import VARIANTS

    columns = ("family", "depth", "block", "unit", "shortcut")
    show_table(["model", *columns], [[name, *(getattr(row, key) for key in columns)] for name, row in VARIANTS.items()])


def train(flags, arguments):
    """Trains a network, or continues the run in --workdir, and leaves model.keras there."""
    overrides = {field.name: flags[field.name].value for field in recipe_fields()}
    if overrides["drops"] is not None:
        overrides["drops"] = tuple(number("drops", share) for share in overrides["drops"])
    recipe = flags.recipe or (flags.dataset if flags.dataset in recipes.RECIPES else "he2015_cifar")
    settings = recipes.find(recipe, **overrides)
    check_model(flags)
    environment.prepare(flags.verbosity)
    from keras_resnet.training.config import TrainConfig
    from keras_resnet.training.train import MODEL_FILE
    from keras_resnet.training.train import train as run

    names = ("model", "dataset", "block", "unit", "shortcut", "validation_fraction", "seed", "strategy")
    config = TrainConfig(recipe=recipe, settings=settings, **{name: flags[name].value for name in names})
    workdir = Path(flags.workdir)
    test = run(config, workdir, flags.data_dir)
    print(f"test accuracy {test['accuracy']:.2%}, loss {test['loss']:.4f}; the classifier is {workdir / MODEL_FILE}")


def evaluate(flags, arguments):
    """Measures a .keras, .tflite or .onnx file or a SavedModel folder on a test split."""
    environment.prepare(flags.verbosity)
    from keras_resnet.export.runtimes import open_artefact
    from keras_resnet.export.verification import scores

    artefact = open_artefact(flags.model_path)
    test = test_split(flags, artefact.classifier)
    result = scores(artefact.probabilities(test.images), test.labels)
    top5 = f"  top-5 {result['top5']:.2%}" if "top5" in result else ""
    print(f"top-1 {result['top1']:.2%}{top5}  loss {result['loss']:.4f}  images {result['images']}")


def predict(flags, arguments):
    """Prints labels and scores for picture files."""
    environment.prepare(flags.verbosity, tensorflow=Path(flags.model_path).suffix not in (".onnx", ".tflite"))
    from keras_resnet.export.runtimes import open_artefact

    artefact = open_artefact(flags.model_path)
    preprocessing, labels = artefact.classifier.preprocessing, artefact.classifier.labels
    pictures = np.stack([preprocessing.load_picture(path) for path in arguments])
    for path, scores in zip(arguments, artefact.probabilities(pictures), strict=True):
        best = np.argsort(-scores)[: flags.top]
        print(f"{path}: {', '.join(f'{labels[index]} {scores[index]:.4f}' for index in best)}")


def export(flags, arguments):
    """Writes SavedModel, TFLite and ONNX from model.keras and verifies each; exit status 1 if one differs."""
    environment.prepare(flags.verbosity)
    from keras_resnet.export import pipeline, report

    names = ("output", "tolerance")
    config = pipeline.ExportConfig(
        Path(flags.model_path), Path(flags.output_dir), tuple(flags.formats), **{name: flags[name].value for name in names}
    )
    test = test_split(flags, pipeline.read_classifier(config.model_path))
    if 0 < flags.verification_images < len(test):
        test = test.take(np.linspace(0, len(test) - 1, flags.verification_images).astype(int))
    result = pipeline.export(config, test.images, test.labels)
    show_table(report.COLUMNS, result.rows())
    print(f"{result.verdict()}\nreport: {config.output_dir / report.PAGE}")
    return 1 if result.failed else 0


def test_split(flags, classifier):
    """The test split of --dataset, or of the set that the classifier was trained on."""
    from keras_resnet.training.datasets import Dataset

    dataset = Dataset(flags.dataset or classifier.dataset, flags.data_dir)
    if dataset.labels != classifier.labels:
        raise UserError(f"{flags.model_path} knows other labels than dataset {dataset.name!r}")
    return dataset.test


def check_model(flags):
    """Refuses an unknown network before TensorFlow is loaded."""
    from keras_resnet import variants

    row = variants.find(flags.model)
    variants.stage_depths(variants.vary(row, block=flags.block, unit=flags.unit, shortcut=flags.shortcut))


def number(name, text):
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--{name} is {text!r}; it is a list of numbers such as 0.5,0.75") from error


def show_table(columns, rows):
    console = Console()
    if not console.is_terminal:
        console.width = 120
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def recipe_fields():
    return [field for field in dataclasses.fields(recipes.Recipe) if field.name != "source"]


def define_train(values):
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    string("model", None, "a named network, see `keras-resnet list`")
    string("dataset", None, "digits, or a set of tensorflow-datasets")
    string("data_dir", None, "folder of tensorflow-datasets' sets")
    string("workdir", None, "folder of the run; one with a checkpoint in it continues")
    string("recipe", None, f"one of {', '.join(recipes.RECIPES)}; by default the one of the dataset's name, or he2015_cifar")
    string("block", None, "basic or bottleneck")
    string("unit", None, "the order inside the unit")
    string("shortcut", None, "A, B, C or none")
    string("strategy", "auto", "auto or one_device")
    absl_flags.DEFINE_float("validation_fraction", 0.1, "share of the training split to choose by", flag_values=values)
    absl_flags.DEFINE_integer("seed", 0, "seed of the weights, the order and the augmentation", flag_values=values)
    definers = {int: "integer", float: "float", str: "string", bool: "bool", tuple: "list"}
    for field in recipe_fields():
        getattr(absl_flags, f"DEFINE_{definers[field.type]}")(field.name, None, "overrides the recipe", flag_values=values)


def define_artefact(values):
    absl_flags.DEFINE_string("model_path", None, "a file or folder that train or export wrote", flag_values=values)


def define_data(values):
    absl_flags.DEFINE_string(
        "dataset", None, "where the test split is from; by default that of the training", flag_values=values
    )
    absl_flags.DEFINE_string("data_dir", None, "folder of tensorflow-datasets' sets", flag_values=values)


def define_evaluate(values):
    define_artefact(values)
    define_data(values)


def define_predict(values):
    define_artefact(values)
    absl_flags.DEFINE_integer("top", 3, "how many labels", lower_bound=1, flag_values=values)


def define_export(values):
    define_artefact(values)
    define_data(values)
    absl_flags.DEFINE_string("output_dir", None, "folder for the artefacts", flag_values=values)
    absl_flags.DEFINE_list("formats", ["saved_model", "tflite", "onnx"], "what to write", flag_values=values)
    absl_flags.DEFINE_string("output", "probabilities", "probabilities or logits", flag_values=values)
    absl_flags.DEFINE_float("tolerance", 1e-4, "largest difference to Keras allowed", flag_values=values)
    absl_flags.DEFINE_integer(
        "verification_images", 1000, "images of the test split to verify on, 0 for all", lower_bound=0, flag_values=values
    )


COMMANDS = {
    "list": Command(list_models, lambda values: None),
    "train": Command(train, define_train, required=("model", "dataset", "workdir")),
    "evaluate": Command(evaluate, define_evaluate, required=("model_path",)),
    "predict": Command(predict, define_predict, required=("model_path",), arguments="IMAGE..."),
    "export": Command(export, define_export, required=("model_path", "output_dir")),
}


def main():
    """The console script."""
    sys.exit(command_line.main(COMMANDS, sys.argv[1:]))


if __name__ == "__main__":
    main()
