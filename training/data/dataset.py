"""Image classification datasets by name: uint8 pixels 0 to 255 and integer labels, split for training, validation and test."""

import functools
import hashlib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from keras_resnet.errors import UserError, comma_join, print_message

from .containers.listing import Listing
from .containers.table import CONTAINERS, FOLDER, check_data_dir
from .decoding.bad_images import BadImages
from .image_filter import read_splits
from .location import check_folders
from .splits import ArraySplit, EncodedSplit, Split
from .tfds import TfdsDataset, class_names_of_builder, get_builder

__all__ = ["FOLDER", "ArraySplit", "Dataset", "EncodedSplit", "class_names_of"]

TEST_FRACTION = 0.1
MAX_CLASSES_NAMED = 5  # in an error


class StoredDataset(Protocol):
    """A dataset on disk, with the splits that it comes with."""

    class_names: tuple[str, ...]
    splits: tuple[str, ...]

    def read(self, split: str) -> Split:
        """Returns the images and labels of a split, without images that are known to be unreadable."""
        ...

    def names(self, split: str) -> Iterable[str]:
        """Returns a name for each example of a split that has been read, which identifies it in later runs."""
        ...


class StoredRecords:
    """A container, see `StoredDataset`. Its splits are read together."""

    def __init__(self, listing: Listing, bad_images: BadImages) -> None:
        self.class_names, self.splits = listing.class_names, tuple(listing.splits)
        for line in listing.notes:
            print_message(line)
        self._splits = read_splits(listing.splits, bad_images)

    def read(self, split: str) -> Split:
        return self._splits[split].split

    def names(self, split: str) -> Iterable[str]:
        records = self._splits[split].records
        return (records.name(row) for row in range(len(records)))


class Dataset:
    """A prepared dataset with its train, validation and test splits.

    The test split is the dataset's own. Without one it is its validation split; without that, a tenth of the train split:
    those whose names have the smallest hashes. That depends on nothing else, so all runs and later evaluations agree on it.
    The validation split is the dataset's own, unless that is the test split; else it is cut from the rest of the train split.
    What is cut leaves each class an image to train on: the next one in the order of the hashes or of chance is taken instead.

    Attributes:
        name: As given.
        class_names: In the order of the labels.
    """

    def __init__(
        self,
        name: str,
        data_dir: str | Path | None = None,
        *,
        manual_dir: str | Path | None = None,
        on_bad_image: str = "skip",
        listing: Listing | None = None,
    ) -> None:
        """Opens a dataset, and downloads and prepares it first if necessary.

        Args:
            name: A key of `CONTAINERS`, or the name of a dataset of tensorflow-datasets.
            data_dir: What the container is; where tensorflow-datasets keeps its prepared datasets.
            manual_dir: Folder with archives that the user downloaded, see `downloads.prepare`.
            on_bad_image: "skip" or "fail".
            listing: What `open_container` returned, if that has been called already.

        Raises:
            UserError: There is no such dataset, or it cannot be used.
        """
        self._bad_images = BadImages(on_bad_image)
        check_folders(name, data_dir, manual_dir)
        self.name = name
        self._stored: StoredDataset
        if name in CONTAINERS:
            self._stored = StoredRecords(listing or open_container(name, data_dir), self._bad_images)
        else:
            self._stored = TfdsDataset(name, data_dir, manual_dir, self._bad_images)
        self.class_names = self._stored.class_names
        self._test_split = next((split for split in ("test", "validation") if split in self._stored.splits), None)

    @property
    def bad_images(self) -> list[str]:
        """Names of the unreadable images that were found so far."""
        return self._bad_images.names

    @property
    def bad_images_found(self) -> dict[str, str]:
        """{where an unreadable image is: its name}, as a run that is continued finds them again."""
        return self._bad_images.found

    @functools.cached_property
    def test(self) -> Split:
        """The split that is only ever reported."""
        if self._test_split:
            return self._read(self._test_split)
        return self._train.take(self._test_rows())

    def train_and_validation(self, validation_fraction: float, seed: int) -> tuple[Split, Split]:
        """Returns the splits to train on and to choose the best checkpoint by.

        Args:
            validation_fraction: Fraction of the train split to cut for validation, if the dataset has no split for it.
            seed: Decides at random which examples these are.
        """
        rest = self._train
        if self._test_split is None:
            rest = rest.take(np.setdiff1d(np.arange(len(rest)), self._test_rows()))
        if "validation" in self._stored.splits and self._test_split != "validation":
            training, validation = rest, self._read("validation")
        else:
            count = max(1, round(validation_fraction * len(rest)))
            order = np.random.default_rng(seed).permutation(len(rest))
            chosen = choose_leaving_each_class(order, rest.labels, count)
            training, validation = rest.take(np.setdiff1d(order, chosen)), rest.take(np.sort(chosen))
        self._check_classes(training)
        return training, validation

    @functools.cached_property
    def _train(self) -> Split:
        if "train" not in self._stored.splits:
            raise UserError(
                f"dataset {self.name!r} has no train split with labels, only {comma_join(self._stored.splits) or 'none'}"
            )
        return self._read("train")

    def _test_rows(self) -> np.ndarray:
        hashes = bytearray()
        for name in self._stored.names("train"):
            hashes += hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        words = np.frombuffer(hashes, ">u8").reshape(len(self._train), -1)
        order = np.lexsort(words.T[::-1])
        return np.sort(choose_leaving_each_class(order, self._train.labels, round(TEST_FRACTION * len(order)) or 1))

    def _read(self, name: str) -> Split:
        split = self._stored.read(name)
        wrong = np.flatnonzero((split.labels < 0) | (split.labels >= len(self.class_names)))
        if len(wrong):
            example = f"{split.labels[wrong[0]]} of {next(itertools.islice(self._stored.names(name), int(wrong[0]), None))}"
            raise UserError(
                f"dataset {self.name!r} has {len(wrong)} labels in its {name} split that are out of range, such as "
                f"{example}; they must be 0 to {len(self.class_names) - 1}"
            )
        if not len(split):
            raise UserError(f"dataset {self.name!r} has no images in its {name} split")
        return split

    def _check_classes(self, training: Split) -> None:
        empty = np.flatnonzero(np.bincount(training.labels, minlength=len(self.class_names)) == 0)
        if len(empty):
            shown = comma_join((self.class_names[index] for index in empty), MAX_CLASSES_NAMED)
            raise UserError(
                f"dataset {self.name!r} has no images to train on for {len(empty)} of its classes: {shown}; "
                "each needs one that is not cut for validation or test"
            )


def choose_leaving_each_class(order: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Returns the first `count` examples of `order` but for those that would leave none of their class to the others.

    Where each class has only one, they are the first `count`.

    Args:
        order: Indices of all examples (N,), each once.
        labels: Integers (N,), from 0.
        count: How many to choose; fewer are chosen where the classes have not enough.
    """
    left = np.bincount(labels, minlength=1)
    if left.max() <= 1:
        return order[:count]
    chosen = []
    for index in order:
        if len(chosen) == count:
            break
        if left[labels[index]] > 1:
            left[labels[index]] -= 1
            chosen.append(index)
    return np.array(chosen, int)


def class_names_of(name: str, data_dir: str | Path | None = None) -> tuple[str, ...]:
    """Returns the class names of a dataset, which need not be prepared."""
    if name in CONTAINERS:
        return open_container(name, data_dir).class_names
    return class_names_of_builder(name, get_builder(name, data_dir))


def open_container(name: str, data_dir: str | Path | None) -> Listing:
    """Lists what lies in a container of the kind `name`, a key of `CONTAINERS`."""
    check_data_dir(name, data_dir)
    return CONTAINERS[name].open(os.fspath(data_dir or ""))
