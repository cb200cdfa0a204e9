"""Reads the table of published weights, and finds rows of it by a pattern, without Keras."""

import csv
import fnmatch
import functools
from collections.abc import Iterable
from pathlib import Path

from keras_resnet.errors import UserError, comma_join, first_line

from .entries import PublishedWeights

TABLE = Path(__file__).with_name("weights.csv")
COLUMNS = ("name", "architecture", "model", "refused", "source", "license", "size", "classes", "top1", "top5")


@functools.cache
def read_table(path: Path = TABLE) -> tuple[PublishedWeights, ...]:
    """Reads a table as `tests/references/make_published.py` writes it: square RGB images, empty where a number is unknown.

    Raises:
        UserError: if it cannot be read, or is damaged.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                raise ValueError(f"its columns are not {comma_join(COLUMNS)}")
            return tuple(entry_of(row) for row in rows)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(
            f"{path}, the table of published weights, cannot be read: {reason}; install keras-resnet-zoo again"
        ) from error


def entry_of(row: dict[str, str]) -> PublishedWeights:
    """A row of the table, with its numbers."""
    name, architecture, model, refused, source, license, size, classes, top1, top5 = (row[column] for column in COLUMNS)
    shape, accuracies = (int(size), int(size), 3), [float(text) if text else None for text in (top1, top5)]
    return PublishedWeights(name, architecture, model, refused, source, license, shape, int(classes), *accuracies)


def matching(pattern: str, entries: Iterable[PublishedWeights]) -> list[PublishedWeights]:
    """Those that a pattern of the shell, such as "resnet50*", matches by one of their names, whatever the case of letters.

    Raises:
        UserError: for a pattern that is not a text.
    """
    if not isinstance(pattern, str):
        raise UserError(f"the pattern is {pattern!r}; it is a text such as 'resnet50*'")
    wanted = pattern.lower()
    return [entry for entry in entries if any(fnmatch.fnmatchcase(name.lower(), wanted) for name in entry.names())]
