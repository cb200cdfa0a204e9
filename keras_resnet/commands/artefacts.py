"""Trained classifiers: measured, asked, and exported."""

from pathlib import Path

import numpy as np

from keras_resnet import environment
from keras_resnet.commands.common import show_table
from keras_resnet.errors import UserError


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
    result = pipeline.export(config, test.images[:], test.labels)
    show_table(report.COLUMNS, result.rows())
    print(f"{result.verdict()}\nreport: {config.output_dir / report.PAGE}")
    return 1 if result.failed else 0


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
    return test.prepared(classifier.preprocessing)
