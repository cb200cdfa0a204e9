"""Image classification sets by name, all by way of tensorflow-datasets: uint8 pixels 0 to 255 and integer labels."""

import contextlib
import dataclasses
import difflib
import functools
import io
import sys

import numpy as np
import tensorflow_datasets as tfds

from keras_resnet.errors import UserError, choices, one_line
from keras_resnet.training.digits import digits_dataset_builder as _digits  # noqa: F401  registers "digits"

EMBEDDED = "digits"


@dataclasses.dataclass(frozen=True)
class Split:
    """images: uint8 (N, H, W, C). labels: int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    def take(self, indices):
        return Split(self.images[indices], self.labels[indices])


class Dataset:
    """A prepared set: `name`, `labels` (class names in order), and its splits, read when asked for."""

    def __init__(self, name, data_dir=None):
        self.name = name
        self._builder = _find(name, data_dir)
        self.labels = _labels(name, self._builder)
        shape = self._builder.info.features["image"].shape
        if None in shape:
            raise UserError(f"dataset {name!r} has images of various sizes ({shape}); they must be alike")
        _prepare(name, self._builder)

    @functools.cached_property
    def test(self):
        """The split that is only ever reported."""
        return self._read("test" if "test" in self._builder.info.splits else "validation")

    def train_and_validation(self, validation_fraction, seed):
        """The training split, cut in two at random; the cut is a function of the seed."""
        whole = self._read("train")
        count = max(1, round(validation_fraction * len(whole)))
        order = np.random.default_rng(seed).permutation(len(whole))
        return whole.take(np.sort(order[count:])), whole.take(np.sort(order[:count]))

    def _read(self, split):
        if split not in self._builder.info.splits:
            raise UserError(f"dataset {self.name!r} has no {split} split, only {choices(self._builder.info.splits)}")
        examples = tfds.as_numpy(self._builder.as_dataset(split=split, batch_size=-1))
        return Split(np.asarray(examples["image"]), np.asarray(examples["label"]))


def labels_of(name, data_dir=None):
    """The class names of a set, which need not be prepared."""
    return _labels(name, _find(name, data_dir))


def _labels(name, builder):
    features = dict(builder.info.features)
    if not ("image" in features and isinstance(features.get("label"), tfds.features.ClassLabel)):
        raise UserError(f"dataset {name!r} has no image and label: it is not for image classification")
    return tuple(features["label"].names)


def _find(name, data_dir):
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(name, tfds.list_builders(), n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"unknown dataset {name!r}: {hint}It is digits or a set of tensorflow-datasets") from error


def _prepare(name, builder):
    """Downloads the set and lays it down in the builder's folder, if it is not there yet."""
    if not builder.is_prepared():
        if name != EMBEDDED:
            print(f"fetching dataset {name} into {builder.data_dir}", file=sys.stderr)
        if name == EMBEDDED or not sys.stderr.isatty():
            tfds.disable_progress_bar()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare()
        except Exception as error:
            raise UserError(
                f"dataset {name!r} is not in {builder.data_dir} and cannot be fetched: {one_line(error)}"
            ) from error
