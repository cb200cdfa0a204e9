"""Image classification sets by name: uint8 pixels 0 to 255 and integer labels, in parts to train, choose and report by."""

import functools
import hashlib
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError, comma_join

from .image_filter import check_on_bad_image
from .image_folder import ImageFolder, labels_of_folder
from .splits import ArraySplit, EncodedSplit
from .tfds import TfdsDataset, get_builder, labels_of_builder

__all__ = ["ArraySplit", "Dataset", "EncodedSplit", "labels_of"]

FOLDER = "folder"
TEST_SHARE = 0.1
NAMED = 5  # classes, in an error


class Dataset:
    """A prepared set: `name`, `labels` (class names in order), `bad_images` (names of those left out so far), and its parts.

    name: "folder", with the folder in `data_dir`, or a set of tensorflow-datasets. manual_dir: see `downloads.prepare`.
    on_bad_image: "skip" or "fail".

    Each part is a `ArraySplit` or `EncodedSplit`. Which is which:

    - the test part is the set's own. Without one it is its validation part; without that, a tenth of the training part: those
      whose names have the smallest hashes. It depends on nothing else, so that no run and no later evaluation disagree.
    - the validation part is the set's own, unless it is the test part; else it is cut from the rest of the training part.
    """

    def __init__(self, name, data_dir=None, *, manual_dir=None, on_bad_image="skip"):
        check_on_bad_image(on_bad_image)
        if data_dir is not None and Path(data_dir).is_file():
            raise UserError(f"data_dir is {data_dir}, which is a file; it is a folder")
        if manual_dir is not None and not Path(manual_dir).is_dir():
            raise UserError(f"manual_dir is {manual_dir}, which is no folder; it holds archives that you downloaded")
        self.name = name
        if name == FOLDER:
            self._set = ImageFolder(data_dir, on_bad_image)
        else:
            self._set = TfdsDataset(name, data_dir, manual_dir, on_bad_image)
        self.labels = self._set.labels
        self._test_part = next((part for part in ("test", "validation") if part in self._set.parts), None)

    @property
    def bad_images(self):
        return self._set.bad_images

    @functools.cached_property
    def test(self):
        """The part that is only ever reported."""
        if self._test_part:
            return self._read(self._test_part)
        return self._train.take(self._test_rows())

    def train_and_validation(self, validation_fraction, seed):
        """The training part and the one to choose by; where one is cut from the other, at random, the seed decides how."""
        rest = self._train
        if self._test_part is None:
            rest = rest.take(np.setdiff1d(np.arange(len(rest)), self._test_rows()))
        if "validation" in self._set.parts and self._test_part != "validation":
            training, validation = rest, self._read("validation")
        else:
            count = max(1, round(validation_fraction * len(rest)))
            order = np.random.default_rng(seed).permutation(len(rest))
            training, validation = rest.take(np.sort(order[count:])), rest.take(np.sort(order[:count]))
        self._check_classes(training)
        return training, validation

    @functools.cached_property
    def _train(self):
        if "train" not in self._set.parts:
            raise UserError(
                f"dataset {self.name!r} has no train part with labels, only {comma_join(self._set.parts) or 'none'}"
            )
        return self._read("train")

    def _test_rows(self):
        hashes = [hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() for name in self._names("train")]
        return np.sort(np.array(sorted(range(len(hashes)), key=hashes.__getitem__)[: round(TEST_SHARE * len(hashes)) or 1]))

    def _names(self, part):
        return self._set.names(part)

    def _read(self, part):
        source = self._set.read(part)
        wrong = np.flatnonzero((source.labels < 0) | (source.labels >= len(self.labels)))
        if len(wrong):
            raise UserError(
                f"dataset {self.name!r} has {len(wrong)} labels in its {part} part that are out of range, such as "
                f"{source.labels[wrong[0]]} of {self._names(part)[wrong[0]]}; they are 0 to {len(self.labels) - 1}"
            )
        if not len(source):
            raise UserError(f"dataset {self.name!r} has no images in its {part} part")
        return source

    def _check_classes(self, training):
        empty = np.flatnonzero(np.bincount(training.labels, minlength=len(self.labels)) == 0)
        if len(empty):
            shown = f"{comma_join(self.labels[index] for index in empty[:NAMED])}{', ...' if len(empty) > NAMED else ''}"
            raise UserError(f"dataset {self.name!r} has no image to train on of {len(empty)} of its classes: {shown}")


def labels_of(name, data_dir=None):
    """The class names of a set, which need not be prepared."""
    return labels_of_folder(data_dir) if name == FOLDER else labels_of_builder(name, get_builder(name, data_dir))
