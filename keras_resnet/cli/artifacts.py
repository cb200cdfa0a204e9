"""Trained classifiers: measured, asked, and exported."""

import contextlib
import itertools
import signal
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from keras_resnet import environment
from keras_resnet.errors import UserError

from .common import read_labels, show_table

EXPORT_FIELDS = (
    "formats", "quantize", "output", "fold", "keep_float", "max_difference", "max_accuracy_drop", "onnx_layout", "opset",
    "description", "license",
)  # fmt: skip
CALIBRATION_VALIDATION = 0.1  # of the training part, which calibration leaves alone as well


def evaluate(flags, arguments):
    """Measures a .keras, .tflite or .onnx file or a SavedModel folder on a test split."""
    environment.configure(flags.verbosity)
    from keras_resnet.export.runtime import load_predictor
    from keras_resnet.export.verification.verify import scores

    artifact = load_predictor(flags.model_path)
    test = read_test_split(flags, artifact.classifier)
    result = scores(artifact.probabilities(test.images), test.labels)
    top5 = f"  top-5 {result['top5']:.2%}" if "top5" in result else ""
    print(f"top-1 {result['top1']:.2%}{top5}  loss {result['loss']:.4f}  images {result['images']}")


def predict(flags, arguments):
    """Prints labels and scores for picture files."""
    environment.configure(flags.verbosity, tensorflow=Path(flags.model_path).suffix not in (".onnx", ".tflite"))
    from keras_resnet.export.runtime import load_predictor

    artifact = load_predictor(flags.model_path)
    preprocessing, labels = artifact.classifier.preprocessing, artifact.classifier.labels
    pictures = np.stack([preprocessing.load_image(path) for path in arguments])
    for path, scores in zip(arguments, artifact.probabilities(pictures), strict=True):
        best = np.argsort(-scores)[: flags.top]
        print(f"{path}: {', '.join(f'{labels[index]} {scores[index]:.4f}' for index in best)}")


@contextlib.contextmanager
def exit_on_sigterm():
    """Inside, SIGTERM ends the process by way of all that cleans up."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@exit_on_sigterm()
def export(flags, arguments):
    """Writes SavedModel, TFLite and ONNX from a .keras file and verifies each; exit status 1 if one does not pass."""
    environment.configure(flags.verbosity)
    from keras_resnet.export import pipeline
    from keras_resnet.export.reporting import report
    from keras_resnet.export.source_model import load_source_model

    config = pipeline.ExportConfig(
        Path(flags.model_path),
        Path(flags.output_dir),
        **{field: as_tuple(flags[field].value) for field in EXPORT_FIELDS},
    )
    labels = read_labels(flags.labels) if flags.labels else None
    if labels is None and flags.normalization and flags.dataset:
        labels = labels_of_set(flags)
    source = load_source_model(config.model_path, flags.normalization, labels, flags.dataset or "", flags.image_size)
    dataset = open_dataset(flags, source.classifier)
    test = taken(dataset.test, flags.verification_images).prepared(source.classifier.preprocessing)
    calibration = read_calibration(dataset, flags.calibration_images, source.classifier) if config.calibrated else None
    with progress() as say:
        result = pipeline.export(config, source, test.images[:], test.labels, calibration, say)
    show_table(report.COLUMNS, result.rows())
    print(f"{result.verdict()}\nreport: {config.output_dir / report.PAGE}")
    return 1 if result.failed else 0


def labels_of_set(flags):
    from keras_resnet.training.data.dataset import class_names_of

    return class_names_of(flags.dataset, flags.data_dir)


def read_calibration(dataset, count, classifier):
    """Images of the training part, not augmented, chosen by a fixed seed."""
    training, _ = dataset.train_and_validation(CALIBRATION_VALIDATION, seed=0)
    chosen = np.random.default_rng(0).permutation(len(training))[:count]
    return training.take(np.sort(chosen)).prepared(classifier.preprocessing)


@contextlib.contextmanager
def progress():
    """Yields a function that shows a line on a terminal, which goes again."""
    console = Console(stderr=True)
    with console.status("reading", spinner="dots") if console.is_terminal else contextlib.nullcontext() as status:
        yield (lambda line: status.update(line)) if status else (lambda line: None)


def as_tuple(value):
    return tuple(value) if isinstance(value, list) else value


def read_test_split(flags, classifier):
    """The test split of --dataset, or of the set that the classifier was trained on, prepared as the classifier asks."""
    return open_dataset(flags, classifier).test.prepared(classifier.preprocessing)


def open_dataset(flags, classifier):
    from keras_resnet.training.data.dataset import Dataset

    if not (flags.dataset or classifier.dataset):
        raise UserError(f"{flags.model_path} does not say which set its test images are from: give --dataset")
    dataset = Dataset(flags.dataset or classifier.dataset, flags.data_dir)
    if dataset.class_names != classifier.labels:
        pairs = itertools.zip_longest(classifier.labels, dataset.class_names)
        ours, theirs = next((ours, theirs) for ours, theirs in pairs if ours != theirs)
        raise UserError(
            f"{flags.model_path} knows other labels than dataset {dataset.name!r}, whose order they must have: "
            f"{ours!r} in place of {theirs!r}"
        )
    return dataset


def taken(part, most):
    """`most` examples of a part, evenly spread, or all for 0."""
    if not 0 < most < len(part):
        return part
    return part.take(np.linspace(0, len(part) - 1, most).astype(int))
