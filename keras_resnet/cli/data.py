"""Trained classifiers, the data that they are measured on, and the names of its classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_resnet import environment
from keras_resnet.class_names import first_difference, read_class_names, without_numbers
from keras_resnet.errors import UserError, comma_join, print_message
from keras_resnet.files import recover
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.remote import is_remote
from keras_resnet.remote_copies import local
from keras_resnet.training.data.containers.table import CONTAINERS
from keras_resnet.weights.pretrained.lookup import resolve_model_path

from .field_help import DATA, TRAINING_HELP
from .flags import FlagHelp, Flags

if TYPE_CHECKING:
    from keras_resnet.training.data.dataset import Dataset

MODEL = "Model"
ARTIFACT = FlagHelp(
    MODEL,
    "A .keras, .tflite or .onnx file or a folder, SavedModel or web page, that train, import or export wrote; or the name of "
    "trained weights that `keras-resnet list` shows, such as ResNet20V2/digits. A path may be a URL such as gs://bucket/model.keras.",
    placeholder="PATH",
)
DATASET = FlagHelp(
    DATA,
    "The data set with the test split: digits, a data set of tensorflow-datasets, or what the images in --data_dir lie in: "
    f"{comma_join(CONTAINERS)}.",
    default="the one that the network was trained on",
    placeholder="NAME",
)
LABELS_TEXT = "A text file with the names of the classes, one per line, in the order of the outputs"


def define_artifact(flags: Flags) -> None:
    flags.define("model_path", str, None, ARTIFACT)


def artifact_path(flags: Flags, beside: Sequence[str] = ()) -> str:
    """The path in --model_path, or that of the file of the trained weights which it names, or of a copy of what is at a URL.

    beside: files that are copied too where they are beside it.
    """
    path = os.fspath(resolve_model_path(flags.model_path))
    if path != flags.model_path and os.path.lexists(flags.model_path):
        print_message(f"{flags.model_path} is taken for the trained weights of that name; the path is ./{flags.model_path}")
    if is_remote(path):
        environment.configure(flags.verbosity)  # before TensorFlow is imported to read it
        path = os.fspath(local(path, beside))
    recover(path)
    if not os.path.lexists(path):
        raise UserError(f"no file or folder {path}")  # as it was given: without ./ it may be a name
    return path


def define_test_data(flags: Flags) -> None:
    flags.define("dataset", str, None, DATASET)
    flags.define("data_dir", str, None, TRAINING_HELP["data_dir"])


def read_labels_file(path: str, distinct: bool = False) -> tuple[str, ...]:
    """The names in a text file, one per line, `distinct` or not; says so if it leaves out numbers that only count the lines."""
    names = read_class_names(path)
    if (unnumbered := without_numbers(names)) is not None:
        print_message(f"{path} numbers its lines; the names are {comma_join(unnumbered, 3)}")
        names = unnumbered
    if distinct and len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UserError(f"{path} has {comma_join(twice, 3)} on more than one line; each class needs a name of its own")
    return names


def class_names_of_dataset(flags: Flags) -> tuple[str, ...]:
    """The names of the classes of --dataset, which is not downloaded for that."""
    from keras_resnet.training.data.dataset import class_names_of

    return class_names_of(flags.dataset, flags.data_dir)


def check_dataset(flags: Flags) -> None:
    """Raises a `UserError` for a --dataset or a --data_dir that is not there, before TensorFlow is imported."""
    if flags.dataset:
        from keras_resnet.training.data.location import check_location

        check_location(flags.dataset, flags.data_dir)


def open_dataset(flags: Flags, metadata: ClassifierMetadata) -> Dataset:
    """Opens --dataset, or the data set that the classifier was trained on; it must have the classifier's classes."""
    from keras_resnet.training.data.dataset import Dataset

    if not (flags.dataset or metadata.dataset):
        raise UserError(f"{flags.model_path} does not name the data set that its test images are from: give --dataset")
    dataset = Dataset(flags.dataset or metadata.dataset, flags.data_dir)
    if different := first_difference(metadata.labels, dataset.class_names):
        known, found = different
        described = f"the {dataset.name} {flags.data_dir}" if dataset.name in CONTAINERS else f"dataset {dataset.name!r}"
        raise UserError(
            f"{flags.model_path} has other class names than {described}, or another order of them: "
            f"{known!r} instead of {found!r}"
        )
    return dataset
