"""What every container says of itself before an image is decoded: its classes, and the records of its splits."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_resnet.class_names import check_are_lines
from keras_resnet.errors import UserError

from .records import LabeledRecords, Records


class Listing(NamedTuple):
    """What a container holds.

    Attributes:
        class_names: In the order of the labels; two at least.
        splits: The images of train, validation and test, as far as there are such, each in the order of `in_order`.
        notes: Lines for the user about what is not used.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, LabeledRecords]
    notes: tuple[str, ...] = ()


def in_order(records: Records, labels: np.ndarray) -> LabeledRecords:
    """Sorts the images of a split by label, and those of a class by name: the order is the same from every container."""
    labels = np.asarray(labels, np.int64)
    order = np.argsort(labels, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):  # class by class: all names take much memory
        names = [os.fsencode(records.name(row)) for row in rows.tolist()]
        rows[:] = rows[sorted(range(len(names)), key=names.__getitem__)]
    return LabeledRecords(records.take(order), labels[order])


def check_class_names(where: object, class_names: Sequence[str]) -> None:
    """Raises a `UserError` unless the names are lines of text, and two at least."""
    check_are_lines(class_names, f"{where} has classes whose names are not a line of text")
    if len(class_names) < 2:
        shown = "none" if not class_names else f"only {class_names[0]!r}"
        raise UserError(f"{where} has {shown} as classes; it must have at least two")
