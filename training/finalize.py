"""The end of a run: its best weights evaluated on the test split, the classifier, the curves and the report."""

import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_resnet.environment import cores
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.saving import write_classifier

from .callbacks import JsonlLogger, TensorBoardLogger, read_metrics
from .context import TrainingContext
from .data.batches import EvalBatches, InputShard
from .model import build_classifier
from .reporting.evaluation import Evaluation
from .reporting.plots import draw_curves
from .reporting.report import MISTAKES, REPORT_FILE, write_report

MODEL_FILE, CURVES_FILE = "model.keras", "curves.png"


def evaluate_and_save(
    context: TrainingContext,
    weights: list[np.ndarray],
    seconds: float,
    workdir: Path,
    metrics: JsonlLogger,
    events: TensorBoardLogger,
) -> dict[str, float]:
    """Evaluates the network on the test split and writes the files that a finished run leaves.

    Args:
        context: of the run.
        weights: of the network, as `get_weights` gives them.
        seconds: spent training.
        workdir: folder of the run.
        metrics: gets the metrics on the test split.
        events: gets the worst mistakes as an image.

    Returns:
        The metrics on the test split.
    """
    config, class_names = context.config, context.dataset.class_names
    model = build_classifier(config, context.preprocessing, context.classes)  # in float32, on one device
    model.set_weights(weights)
    test = context.dataset.test.prepared(context.preprocessing)
    batches = EvalBatches(test, context.recipe.batch_size).dataset(InputShard()).map(lambda images, *_: images)
    quiet: Any = 0  # which Keras takes for a string, by its default
    probabilities = model.predict(batches, verbose=quiet)[: len(test)]
    evaluation = Evaluation.of(probabilities, test.labels, class_names)
    result = {"loss": evaluation.loss, "accuracy": evaluation.top1, "images": len(test), "seconds": seconds}
    metrics.on_test_end(result)
    if len(evaluation.mistakes):
        worst = test.images[evaluation.mistakes[:MISTAKES]]
        events.images("worst_mistakes", worst, context.steps_per_epoch * context.recipe.epochs, run="validation")
    records = read_metrics(workdir)
    draw_curves(records, workdir / CURVES_FILE)
    write_report(
        workdir / REPORT_FILE,
        title=f"{config.model} on {config.dataset}",
        config=config.to_dict(),
        records=records,
        evaluation=evaluation,
        images=test.images,
        labels=test.labels,
        probabilities=probabilities,
        facts=run_facts(context, seconds),
    )
    metadata = ClassifierMetadata(config.model, context.dataset.name, class_names, context.preprocessing)
    write_classifier(model, workdir / MODEL_FILE, metadata)
    return result


def run_facts(context: TrainingContext, seconds: float) -> list[tuple[str, str]]:
    """What ran, on what, and for how long, for the top of the report."""
    images = context.steps_per_epoch * context.recipe.batch_size * context.recipe.epochs
    gpus = len(tf.config.list_physical_devices("GPU"))
    train, validation = len(context.train_split), len(context.validation_split)
    return [
        ("parameters", f"{context.model.count_params():,}"),
        ("images", f"{context.dataset.name}: {train:,} for training, {validation:,} for validation"),
        ("time", f"{seconds / 60:.1f} minutes of training, {images / max(seconds, 1e-9):,.0f} images/s"),
        ("replicas", f"{context.strategy.num_replicas_in_sync}, strategy {context.config.strategy}"),
        ("machine", f"{platform.machine()}, {cores()} CPU cores, {gpus} GPUs"),
        ("versions", f"TensorFlow {tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()}"),
    ]
