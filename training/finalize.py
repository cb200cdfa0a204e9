"""The end of a run: its best weights evaluated on the test split, the classifier, the curves and the report."""

import platform
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_resnet.environment import cores
from keras_resnet.errors import ReportFailed, comma_join, first_line
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.remote import AnyPath
from keras_resnet.saving import write_classifier

from .callbacks.loggers import JsonlLogger, TensorBoardLogger
from .context import TrainingContext
from .data.batches import EvalBatches, InputShard
from .reporting.evaluation import Evaluation
from .reporting.plots import draw_curves
from .reporting.report import MISTAKES, REPORT_FILE, write_report

MODEL_FILE, CURVES_FILE = "model.keras", "curves.png"
MAX_BAD_IMAGES_NAMED = 3  # in the report


def evaluate_and_save(
    context: TrainingContext,
    seconds: float,
    workdir: AnyPath,
    metrics: JsonlLogger,
    events: TensorBoardLogger,
) -> dict[str, float]:
    """Writes the classifier, evaluates it on the test split, and writes the report.

    The classifier first, so that nothing that fails after it costs a training.

    Args:
        context: of the run.
        seconds: spent training.
        workdir: folder of the run.
        metrics: gets the metrics on the test split.
        events: gets the worst mistakes as an image.

    Returns:
        The metrics on the test split.

    Raises:
        ReportFailed: if a file of the report could not be written; the others are.
    """
    config, class_names = context.config, context.dataset.class_names
    model = context.classifier()  # in float32, on one device
    metadata = ClassifierMetadata(config.model, context.dataset.name, class_names, context.preprocessing, context.origin)
    write_classifier(model, workdir / MODEL_FILE, metadata)
    test = context.dataset.test.prepared(context.preprocessing)
    batches = EvalBatches(test, context.recipe.batch_size).dataset(InputShard()).map(lambda images, *_: images)
    quiet: Any = 0  # which Keras takes for a string, by its default
    probabilities = model.predict(batches, verbose=quiet)[: len(test)]
    probabilities, test = probabilities[test.readable_rows()], test.readable()
    evaluation = Evaluation.of(probabilities, test.labels, class_names)
    result = {"loss": evaluation.loss, "accuracy": evaluation.top1, "images": len(test), "seconds": seconds}
    metrics.on_test_end(result)
    records = metrics.records()

    def log_mistakes() -> None:
        if len(evaluation.mistakes):
            worst = test.images[evaluation.mistakes[:MISTAKES]]
            events.images("worst_mistakes", worst, context.steps_per_epoch * context.recipe.epochs, run="validation")

    def draw() -> None:
        draw_curves(records, workdir / CURVES_FILE)

    def report() -> None:
        write_report(
            workdir / REPORT_FILE,
            title=f"{config.model} on {config.dataset}",
            config=config.to_dict(),
            records=records,
            evaluation=evaluation,
            images=test.images,
            labels=test.labels,
            probabilities=probabilities,
            facts=run_facts(context, model.count_params(), seconds),
        )

    write_all({"events": log_mistakes, CURVES_FILE: draw, REPORT_FILE: report}, result, workdir / MODEL_FILE)
    return result


def write_all(writers: Mapping[str, Callable[[], None]], result: dict[str, float], classifier: AnyPath) -> None:
    """Calls each of the functions, which write a file, and only then raises a `ReportFailed` for those that failed."""
    failed = {}
    for name, write in writers.items():
        try:
            write()
        except Exception as error:  # a library's too: the result is there, and the other files may be written
            failed[name] = error
    if failed:
        error, names = next(iter(failed.values())), " and ".join(failed)
        done = f"the classifier is {classifier}, with a test accuracy of {result['accuracy']:.2%}"
        message = f"{done}, but {names} could not be written ({first_line(error)}); the same command writes what is missing"
        raise ReportFailed(message, result) from error


def run_facts(context: TrainingContext, parameters: int, seconds: float) -> list[tuple[str, str]]:
    """What ran, on what, and for how long, for the top of the report."""
    images = context.steps_per_epoch * context.recipe.batch_size * context.recipe.epochs
    gpus = len(tf.config.list_physical_devices("GPU"))
    train, validation = len(context.train_split), len(context.validation_split)
    bad = context.dataset.bad_images
    unreadable = f"{len(bad):,} images could not be read: {comma_join(bad, MAX_BAD_IMAGES_NAMED)}"
    return [
        ("parameters", f"{parameters:,}"),
        ("images", f"{context.dataset.name}: {train:,} for training, {validation:,} for validation"),
        *([("left out", unreadable)] if bad else []),
        ("time", f"{seconds / 60:.1f} minutes of training, {images / max(seconds, 1e-9):,.0f} images/s"),
        ("replicas", f"{context.strategy.num_replicas_in_sync}, strategy {context.config.strategy}"),
        ("machine", f"{platform.machine()}, {cores()} CPU cores, {gpus} GPUs"),
        ("versions", f"TensorFlow {tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()}"),
    ]
