"""How tables call their columns, and how the values of a label column become classes."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_resnet.class_names import normalized
from keras_resnet.errors import UserError, comma_join

LABEL_COLUMNS = ("label", "labels", "class", "class_name", "target", "category")
INTEGER = re.compile(r"([+-]?\d{1,18})(?:\.0*)?")  # also as pandas writes them in a column that had empty cells: 1.0
MAX_CLASSES_NAMED = 5  # in an error
NO_LABEL, UNLABELED = "-1", -1  # what Hugging Face's and TensorFlow's data sets mark images without a label by


class Classes(NamedTuple):
    """names: of the classes, in the order of the labels. labels: {a value of the label column: its label}."""

    names: tuple[str, ...]
    labels: Mapping[str, int]


def classes_of(values: Collection[str], locate: Callable[[str], str], names: Sequence[str] | None) -> Classes:
    """Makes classes of the distinct values of a label column, which are names or, all of them, integers.

    Integers are positions in `names`; without `names` they are themselves the names of the classes, in numeric order. Other
    values are sorted, unless `names` gives their order. -1 stays -1: no label.

    Args:
        values: Of the column.
        locate: Returns where a value first stands, such as "labels.csv has in line 3".
        names: Of the classes.

    Raises:
        UserError: A value is not that of a class.
    """
    integers = {value: int(match[1]) for value in values if (match := INTEGER.fullmatch(value))}
    known = {normalized(name): label for label, name in enumerate(names or sorted({*map(normalized, values)} - {NO_LABEL}))}
    if len(integers) < len(values):
        if wrong := sorted(value for value in values if normalized(value) not in known and value != NO_LABEL):
            shown = comma_join(known, MAX_CLASSES_NAMED)
            raise UserError(f"{locate(wrong[0])} the label {wrong[0]!r}; it must be one of the {len(known)} classes {shown}")
        return Classes(tuple(names or known), {value: known.get(normalized(value), UNLABELED) for value in values})
    wrong = {value: number for value, number in integers.items() if number < UNLABELED or (names and number >= len(names))}
    if wrong:
        value = min(wrong, key=wrong.__getitem__)
        most = f"0 to {len(names) - 1}, as {len(names)} classes have names" if names else "at least 0"
        raise UserError(f"{locate(value)} the label {wrong[value]}; labels must be {most}, or -1 in a split without labels")
    if names:
        return Classes(tuple(names), integers)
    numbers = sorted({*integers.values()} - {UNLABELED})
    position = {number: label for label, number in enumerate(numbers)} | {UNLABELED: UNLABELED}
    return Classes(tuple(map(str, numbers)), {value: position[number] for value, number in integers.items()})


def find_column(columns: Sequence[str], names: Sequence[str]) -> int | None:
    """Returns which of the columns has the first of `names` that there is, in any case; None if none of them has one."""
    plain = [column.strip().casefold() for column in columns]
    return next((plain.index(name) for name in names if name in plain), None)


def is_labeled(where: object, split: str, labels: np.ndarray, location: Callable[[int], str]) -> bool:
    """Whether the images of a split have labels. A split without is left out, and `no_labels` is said of it.

    Raises:
        UserError: Some have none. `location` returns where the one at an index is.
    """
    unlabeled = np.flatnonzero(labels == UNLABELED)
    if 0 < len(unlabeled) < len(labels):
        raise UserError(
            f"{where} has {len(unlabeled)} of {len(labels)} images in its {split} split without a label (none, or -1), the "
            f"first in {location(unlabeled[0])}; label them, or remove them"
        )
    return not len(unlabeled)


def no_labels(where: object, split: str) -> str:
    """A note that a split is left out."""
    return f"the {split} split of {where} has no labels: it is not used"
