"""The `keras-resnet` command: the only place that knows all rooms, and the only one that reads flags."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from keras_resnet import command_flags, command_line, environment, facts, variants
from keras_resnet.command_line import Command
from keras_resnet.errors import UserError
from keras_resnet.files import write_text
from keras_resnet.options import Options
from keras_resnet.training import recipes

# Rooms that load TensorFlow are imported inside the commands, once the environment is prepared.


def list_models(flags, arguments):
    """Shows every named network: its size, its published error and whose weights fit."""
    descriptions = [facts.describe_with(name, counts) for name, counts in facts.recorded_counts().items()]
    show_table(facts.SUMMARY, [facts.summary(description) for description in descriptions])
    print("Multiply-adds are at the default image size. keras_resnet.describe(NAME) tells more of one.")


def train(flags, arguments):
    """Trains a network, or continues the run in --workdir, and leaves model.keras there."""
    overrides = {field.name: flags[field.name].value for field in command_flags.recipe_fields()}
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
    given = {name: flags[name].value for name in names}
    config = TrainConfig(recipe=recipe, settings=settings, options=options_of(flags), **given)
    workdir = Path(flags.workdir)
    test = run(config, workdir, flags.data_dir)
    print(f"test accuracy {test['accuracy']:.2%}, loss {test['loss']:.4f}; the classifier is {workdir / MODEL_FILE}")


def import_weights(flags, arguments):
    """Makes a classifier of raw pixels, for evaluate, predict and export, from somebody's weights."""
    check_model(flags)
    environment.prepare(flags.verbosity)
    import keras_resnet
    from keras_resnet.training.datasets import labels_of

    if Path(flags.output).suffix != ".keras" or Path(flags.output).exists():
        raise UserError(f"--output is {flags.output}; it is a .keras file that does not exist yet")
    labels = read_labels(flags.labels) if flags.labels else labels_of(flags.dataset, flags.data_dir) if flags.dataset else None
    if labels is None:
        raise UserError(
            "import needs the classes' names: --labels=FILE with one a line, or --dataset=NAME of the set they are in"
        )
    model = getattr(keras_resnet, flags.model)(
        input_shape=(None, None, 3),
        classes=len(labels),
        **{name: flags[name].value for name in ("block", "unit", "shortcut")},
        **dataclasses.asdict(options_of(flags)),
    )
    keras_resnet.load_weights(model, flags.weights)
    preprocessing = keras_resnet.preprocessing_for(flags.protocol or model)
    keras_resnet.save_classifier(model, flags.output, labels, preprocessing, flags.dataset or "")
    print(f"the classifier is {flags.output}: {preprocessing.summary()}, {len(labels)} classes")


def evaluate(flags, arguments):
    """Measures a .keras, .tflite or .onnx file or a SavedModel folder on a test split."""
    environment.prepare(flags.verbosity)
    from keras_resnet.export.runtimes import open_artefact
    from keras_resnet.export.verification import scores

    artefact = open_artefact(flags.model_path)
    test = read_test_split(flags, artefact.classifier)
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
    test = read_test_split(flags, pipeline.read_classifier(config.model_path), most=flags.verification_images)
    result = pipeline.export(config, test.images, test.labels)
    show_table(report.COLUMNS, result.rows())
    print(f"{result.verdict()}\nreport: {config.output_dir / report.PAGE}")
    return 1 if result.failed else 0


def benchmark(flags, arguments):
    """Times a network against the same one in Keras' own layers, in pairs in one run."""
    check_model(flags)
    environment.prepare(flags.verbosity)
    from keras_resnet.training import benchmark as measure

    names = ("what", "model", "block", "unit", "shortcut", "batch_size", "steps", "rounds")
    result = measure.benchmark(
        measure.BenchmarkConfig(options=options_of(flags), **{name: flags[name].value for name in names})
    )
    show_table(measure.COLUMNS, result.rows())
    print(result.verdict())
    if flags.json:
        write_text(flags.json, json.dumps(dataclasses.asdict(result), indent=2) + "\n")


def read_test_split(flags, classifier, most=0):
    """The test split of --dataset, or of the set that the classifier was trained on, prepared as the classifier asks.

    `most`: so many images, evenly spread, or 0 for all.
    """
    from keras_resnet.training.datasets import Dataset

    if not (flags.dataset or classifier.dataset):
        raise UserError(f"{flags.model_path} does not say which set its test images are from: give --dataset")
    dataset = Dataset(flags.dataset or classifier.dataset, flags.data_dir)
    if dataset.labels != classifier.labels:
        raise UserError(f"{flags.model_path} knows other labels than dataset {dataset.name!r}")
    test = dataset.test
    if 0 < most < len(test):
        test = test.take(np.linspace(0, len(test) - 1, most).astype(int))
    return dataclasses.replace(test, images=classifier.preprocessing.prepare(test.images))


def check_model(flags):
    """Refuses an unknown network or option before TensorFlow is loaded."""
    options_of(flags)
    row = variants.find(flags.model)
    variants.stage_depths(variants.vary(row, block=flags.block, unit=flags.unit, shortcut=flags.shortcut))


def options_of(flags):
    return Options(**{field.name: flags[field.name].value for field in dataclasses.fields(Options)})


def read_labels(path):
    try:
        return tuple(line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file in UTF-8") from error


def number(name, text):
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--{name} is {text!r}; it is a list of numbers such as 0.5,0.75") from error


def show_table(columns, rows):
    console = Console()
    if not console.is_terminal:
        console.width = 160
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


COMMANDS = {
    "list": Command(list_models, command_flags.define_nothing),
    "train": Command(train, command_flags.define_train, required=("model", "dataset", "workdir")),
    "import": Command(import_weights, command_flags.define_import, required=("model", "weights", "output")),
    "evaluate": Command(evaluate, command_flags.define_evaluate, required=("model_path",)),
    "predict": Command(predict, command_flags.define_predict, required=("model_path",), arguments="IMAGE..."),
    "export": Command(export, command_flags.define_export, required=("model_path", "output_dir")),
    "benchmark": Command(benchmark, command_flags.define_benchmark, required=("what", "model")),
}


def main():
    """The console script."""
    sys.exit(command_line.main(COMMANDS, sys.argv[1:]))


if __name__ == "__main__":
    main()
