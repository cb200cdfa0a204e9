"""`keras-resnet evaluate`: the accuracy of a trained or exported classifier."""

import contextlib
import functools

import numpy as np

from keras_resnet import environment
from keras_resnet.errors import UserError
from keras_resnet.export.isolation.process import open_predictor
from keras_resnet.metrics import summary

from .command import Command
from .data import artifact_path, check_dataset, define_artifact, define_test_data, open_dataset
from .flags import Flags
from .output import print_lines


def define_flags(flags: Flags) -> None:
    define_artifact(flags)
    define_test_data(flags)


def evaluate(flags: Flags, arguments: list[str]) -> None:
    """Measures the accuracy of a .keras, .tflite or .onnx file, a SavedModel or a web page on a test split."""
    path = artifact_path(flags)
    environment.configure(flags.verbosity, tensorflow=False)
    check_dataset(flags)
    configure = functools.partial(configure_for_data, flags.verbosity)
    with open_predictor(path, flags.verbosity, meanwhile=configure) as predictor:
        metadata = predictor.metadata
        test = open_dataset(flags, metadata).test.prepared(metadata.preprocessing).readable()
        probabilities = predictor.probabilities(test.images)
    if broken := int(np.sum(~np.isfinite(probabilities).all(axis=1))):
        raise UserError(
            f"{flags.model_path} gives probabilities that are NaN or infinite for {broken} of {len(probabilities)} images"
        )
    result = summary(probabilities, test.labels)
    top5 = f"  top-5 {result['top5']:.2%}" if "top5" in result else ""
    print_lines(f"top-1 {result['top1']:.2%}{top5}  loss {result['loss']:.4f}  images {result['images']}")


def configure_for_data(verbosity: str, computes: bool) -> None:
    """Sets TensorFlow up; where it only reads the data, it leaves the GPUs to the process that runs the artifact."""
    environment.configure(verbosity)
    if not computes:
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # a context that is in use, as in tests
            tf.config.set_visible_devices([], "GPU")


COMMAND = Command(
    evaluate,
    define_flags,
    required=("model_path",),
    example="keras-resnet evaluate --model_path=runs/digits/model.keras",
)
