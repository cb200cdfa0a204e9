"""`keras-resnet predict`: the labels of image files."""

import errno
import functools
import glob
import os
from collections.abc import Sequence

import numpy as np

from keras_resnet import environment
from keras_resnet.errors import UserError, one_line, print_message
from keras_resnet.export.formats.format import BATCH_SIZE
from keras_resnet.export.isolation.process import open_predictor
from keras_resnet.export.runtime import Predictor

from .command import Command
from .data import artifact_path, define_artifact
from .flags import FlagHelp, Flags
from .output import print_lines


def define_flags(flags: Flags) -> None:
    define_artifact(flags)
    flags.define("top", int, 3, FlagHelp("Output", "How many of the most likely labels to print per image."), at_least=1)


def predict(flags: Flags, arguments: list[str]) -> int:
    """Prints the most likely labels of image files; exit status 1 if some files, which it names, cannot be read."""
    paths = [path for argument in arguments for path in expand_pattern(argument)]
    model_path = artifact_path(flags)
    if not any(os.path.lexists(path) for path in paths):
        for path in paths:
            print_message(f"{path} cannot be read as an image: {os.strerror(errno.ENOENT)}")
        return 2
    configure = functools.partial(environment.configure, flags.verbosity)
    with open_predictor(model_path, flags.verbosity, meanwhile=configure) as predictor:
        batches = [paths[start : start + BATCH_SIZE] for start in range(0, len(paths), BATCH_SIZE)]
        answered = sum(predict_batch(predictor, batch, flags.top) for batch in batches)
    left_out = len(paths) - answered
    if left_out > 1:
        print_message(f"{left_out} of {len(paths)} images have no answer")
    return 2 if not answered else 1 if left_out else 0


def expand_pattern(argument: str) -> list[str]:
    """The files that an argument with wildcards stands for, which the shells of Windows leave as it is; else the argument."""
    is_pattern = glob.escape(argument) != argument and not os.path.lexists(argument)
    return (is_pattern and sorted(glob.glob(argument, recursive=True))) or [argument]


def predict_batch(predictor: Predictor, paths: Sequence[str], top: int) -> int:
    """Prints a line for each image, on standard error for one without an answer; returns how many have one."""
    read = [(path, image) for path in paths if (image := read_image(predictor, path)) is not None]
    if not read:
        return 0
    probabilities = predictor.probabilities(np.stack([image for _, image in read]))
    finite = np.all(np.isfinite(probabilities), axis=1)
    for (path, _), scores, has_answer in zip(read, probabilities, finite, strict=True):
        if has_answer:
            best = np.argsort(-scores)[:top]
            labels = [f"{one_line(predictor.metadata.labels[index])} {scores[index]:.4f}" for index in best]
            print_lines(f"{path}: {', '.join(labels)}")
        else:
            print_message(f"{path}: {predictor.path} gives probabilities that are NaN or infinite")
    return int(finite.sum())


def read_image(predictor: Predictor, path: str) -> np.ndarray | None:
    """The image as the classifier reads it; None for a file that is not an image, after a line that says so."""
    try:
        if os.path.isdir(path):
            raise UserError(f"{path} is a folder: give its images, such as {os.path.join(path, '*.jpg')}")
        return predictor.metadata.preprocessing.load_image(path)
    except UserError as error:
        print_message(error)
        return None


COMMAND = Command(
    predict,
    define_flags,
    required=("model_path",),
    arguments="IMAGE...",
    example="keras-resnet predict --model_path=runs/digits/export/model.onnx image.png",
)
