"""What a run comes to: its best weights on the test split, the classifier, the curves and the report."""

import os
import platform

import keras
import tensorflow as tf

from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.saving import write_classifier

from . import callbacks as logs
from . import model as networks
from .data.batches import EvalBatches, InputShard
from .reporting.evaluation import Evaluation
from .reporting.plots import draw_curves
from .reporting.report import MISTAKES, PAGE, write_report

MODEL_FILE, CURVES_FILE = "model.keras", "curves.png"


def evaluate_and_save(ready, values, seconds, workdir, metrics, events):
    """Writes everything that is to be written at the end; returns the metrics on the test split.

    ready: the `TrainingContext`. values: the network's weights, arrays. seconds: spent training.
    metrics, events: the files of the run.
    """
    config, names = ready.config, ready.dataset.class_names
    model = networks.build_classifier(config, ready.preprocessing, ready.classes)  # in float32, on one device
    model.set_weights(values)
    test = ready.dataset.test.prepared(ready.preprocessing)
    batches = EvalBatches(test, ready.recipe.batch_size).dataset(InputShard()).map(lambda images, *_: images)
    probabilities = model.predict(batches, verbose=0)[: len(test)]
    evaluation = Evaluation.of(probabilities, test.labels, names)
    result = {"loss": evaluation.loss, "accuracy": evaluation.top1, "images": len(test), "seconds": seconds}
    metrics.on_test_end(result)
    if len(evaluation.mistakes):
        shown = test.images[evaluation.mistakes[:MISTAKES]]
        events.images("worst_mistakes", shown, ready.steps * ready.recipe.epochs, run="validation")
    records = logs.read_metrics(workdir)
    draw_curves(records, workdir / CURVES_FILE)
    write_report(
        workdir / PAGE,
        title=f"{config.model} on {config.dataset}",
        config=config.to_dict(),
        records=records,
        evaluation=evaluation,
        images=test.images,
        labels=test.labels,
        names=names,
        probabilities=probabilities,
        facts=facts(ready, seconds),
    )
    write_classifier(
        model, workdir / MODEL_FILE, ClassifierMetadata(config.model, ready.dataset.name, names, ready.preprocessing)
    )
    return result


def facts(ready, seconds):
    """What ran, on what, and for how long."""
    images = ready.steps * ready.recipe.batch_size * ready.recipe.epochs
    gpus = len(tf.config.list_physical_devices("GPU"))
    return [
        ("parameters", f"{ready.model.count_params():,}"),
        ("images", f"{len(ready.training):,} of {ready.dataset.name} to train on, {len(ready.validation):,} to choose by"),
        ("time", f"{seconds / 60:.1f} minutes of training, {images / max(seconds, 1e-9):,.0f} images/s"),
        ("replicas", f"{ready.strategy.num_replicas_in_sync}, {type(ready.strategy).__name__}"),
        ("machine", f"{platform.machine()}, {os.cpu_count()} CPU cores, {gpus} GPUs"),
        ("versions", f"TensorFlow {tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()}"),
    ]
