"""How tables call their columns, and how the values of a label column become classes."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_resnet.class_names import normalized
from keras_resnet.errors import UserError, comma_join, print_message

LABEL_COLUMNS = ("label", "labels", "class", "class_name", "target", "category")
INTEGER = re.compile(r"([+-]?\d{1,18})(?:\.0*)?")  # also as pandas writes them in a column that had empty cells: 1.0
UNLABELED = -1  # what Hugging Face's and TensorFlow's data sets mark images without a label by


class Classes(NamedTuple):
    """names: of the classes, in the order of the labels. labels: {a value of the label column: its label}."""

    names: tuple[str, ...]
    labels: Mapping[str, int]


def classes_of(values: Collection[str], names: Sequence[str] | None, where: object) -> Classes:
    """Makes classes of the distinct values of a label column, which are names or, all of them, integers.

    Names are sorted. Integers are positions in `names`; without `names` they are themselves the names of the classes, in
    numeric order. -1 stays -1: no label.

    Raises:
        UserError: An integer has no name.
    """
    integers = {value: int(match[1]) for value in values if (match := INTEGER.fullmatch(value))}
    if len(integers) < len(values):
        ordered = sorted({normalized(value) for value in values})
        position = {name: label for label, name in enumerate(ordered)}
        return Classes(tuple(ordered), {value: position[normalized(value)] for value in values})
    if names is None:
        numbers = sorted({*integers.values()} - {UNLABELED})
        if numbers and numbers[0] < 0:
            raise UserError(f"{where} has the label {numbers[0]}; labels must be at least 0, or -1 for images without a label")
        position = {number: label for label, number in enumerate(numbers)} | {UNLABELED: UNLABELED}
        return Classes(tuple(map(str, numbers)), {value: position[number] for value, number in integers.items()})
    if wrong := sorted({*integers.values()} - {*range(len(names)), UNLABELED}):
        shown = comma_join(wrong, 3)
        raise UserError(f"{where} has the label {shown}; {len(names)} classes have names, so it must be 0 to {len(names) - 1}")
    return Classes(tuple(names), integers)


def find_column(columns: Sequence[str], names: Sequence[str]) -> int | None:
    """Returns which of the columns has the first of `names` that there is, in any case; None if none of them has one."""
    plain = [column.strip().casefold() for column in columns]
    return next((plain.index(name) for name in names if name in plain), None)


def is_labeled(where: object, split: str, labels: np.ndarray) -> bool:
    """Whether the images of a split have labels; one line says so if none has: such a split is left out.

    Raises:
        UserError: Some have none.
    """
    unlabeled = int((labels == UNLABELED).sum())
    if not unlabeled:
        return True
    if unlabeled < len(labels):
        raise UserError(
            f"{where} has {unlabeled} of {len(labels)} images in its {split} split without a label, which -1 means; "
            "remove them, or label them"
        )
    print_message(f"the {split} split of {where} has no labels, only -1: it is not used")
    return False
