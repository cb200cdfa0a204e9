"""`keras-resnet predict`: the labels of image files."""

from pathlib import Path

import numpy as np

from keras_resnet import environment
from keras_resnet.export.formats import READABLE_FORMATS

from .command import Command
from .data import define_artifact
from .flags import FlagHelp, Flags


def define_flags(flags: Flags) -> None:
    define_artifact(flags)
    flags.define("top", int, 3, FlagHelp("Output", "How many of the most likely labels to print per image."), at_least=1)


def predict(flags: Flags, arguments: list[str]) -> None:
    """Prints the most likely labels of image files and their probabilities."""
    light = any(format.matches(Path(flags.model_path)) for format in READABLE_FORMATS if not format.needs_tensorflow)
    environment.configure(flags.verbosity, tensorflow=not light)
    from keras_resnet.export.runtime import load_predictor

    predictor = load_predictor(flags.model_path)
    preprocessing, class_names = predictor.metadata.preprocessing, predictor.metadata.labels
    images = np.stack([preprocessing.load_image(path) for path in arguments])
    for path, scores in zip(arguments, predictor.probabilities(images), strict=True):
        best = np.argsort(-scores)[: flags.top]
        print(f"{path}: {', '.join(f'{class_names[index]} {scores[index]:.4f}' for index in best)}")


COMMAND = Command(
    predict,
    define_flags,
    required=("model_path",),
    arguments="IMAGE...",
    example="keras-resnet predict --model_path=runs/digits/export/model.onnx image.png",
)
