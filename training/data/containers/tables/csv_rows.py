"""The rows of a CSV or TSV file that lists images, from whatever program it comes: delimiter, encoding and header are found."""

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TextIO

from keras_resnet import foreign_files
from keras_resnet.class_names import UTF_16_MARKS
from keras_resnet.errors import UserError, comma_join, first_line

from ..folder import SPLIT_NAMES, plain
from ..labels import LABEL_COLUMNS, find_column

PATH_COLUMNS = ("path", "image_path", "file_path", "filepath", "file_name", "filename", "file", "image", "image_id")
SPLIT_COLUMNS = ("split", "set", "subset")
DELIMITERS = (",", ";", "\t", "|")
MULTIPLE_LABELS, MULTIPLE_LABELS_IN_LIST = "|", "|,; "  # what separates labels; the second in a column called `labels`
START = 1 << 16  # characters in which the first row ends
MAX_COLUMNS_NAMED = 8  # in an error


class Row(NamedTuple):
    """An image. line: the number of its last line. path: with "/" between its parts, otherwise as it is written."""

    line: int
    path: str
    label: str
    split: str


class Columns(NamedTuple):
    """How the rows are written, and where their values are. names: of all columns, empty where there is no header line."""

    delimiter: str
    count: int
    path: int
    label: int
    split: int | None
    names: tuple[str, ...]


def read_rows(path: str, notes: list[str]) -> Iterator[Row]:
    """Yields the images that a file lists, without looking for them. `notes` gets a line if it has two columns of classes.

    Raises:
        UserError: It is not such a file, or a row of it is not as the others are.
    """
    with open_text(path) as file:
        reader = None
        try:
            columns = find_columns(path, file.read(START))
            notes += other_labels(path, columns)
            file.seek(0)
            reader = csv_reader(file, columns.delimiter)
            header = bool(columns.names)
            splits: dict[str, str] = {}
            separators = MULTIPLE_LABELS
            if header and columns.names[columns.label].casefold() == "labels":
                separators = MULTIPLE_LABELS_IN_LIST
            for cells in reader:
                if not any(map(str.strip, cells)):
                    continue
                if header:
                    header = False
                    continue
                line = reader.line_num
                if len(cells) != columns.count:
                    check_count(path, line, cells, columns)
                image, label = cells[columns.path].strip(), cells[columns.label].strip()
                if not (image and label):
                    what = "label" if image else "path"
                    raise UserError(f"{path} has no {what} in line {line}; each row must have a path and a label")
                if any(map(label.__contains__, separators)):
                    check_one_label(path, line, label, separators)
                split = "train"
                if columns.split is not None and not (split := splits.get(cells[columns.split], "")):
                    split = splits[cells[columns.split]] = split_called(path, line, cells[columns.split])
                yield Row(line, image.replace("\\", "/"), label, split)
        except UnicodeError as error:
            raise UserError(f"{path} is not a text file in UTF-8, or in marked UTF-16: save it in that encoding") from error
        except csv.Error as error:
            line = reader.line_num if reader else 1
            raise UserError(f"{path} is not CSV at line {line}: {first_line(error)}") from error


@contextlib.contextmanager
def open_text(path: str) -> Iterator[TextIO]:
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(foreign_files.open_file(path))
        encoding = "utf-16" if file.read(2) in UTF_16_MARKS else "utf-8-sig"
        file.seek(0)
        yield stack.enter_context(io.TextIOWrapper(file, encoding, newline=""))


def csv_reader(lines: TextIO, delimiter: str):
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def find_columns(path: str, start: str) -> Columns:
    """Finds the delimiter with which the first row of a file makes sense, as a header line or as the first image."""
    rows = {}
    for delimiter in DELIMITERS:
        with contextlib.suppress(csv.Error):
            reader = csv_reader(io.StringIO(start, newline=""), delimiter)
            rows[delimiter] = next((row for row in reader if any(map(str.strip, row))), [])
    for delimiter, cells in rows.items():
        names = tuple(name.strip() for name in cells)
        image, label, split = (find_column(names, known) for known in (PATH_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS))
        if image is not None and label is not None:
            check_distinct(path, names)
            return Columns(delimiter, len(cells), image, label, split, names)
    for delimiter, cells in rows.items():
        if len(cells) == 2 and os.path.isfile(os.path.join(os.path.dirname(path), cells[0].strip().replace("\\", "/"))):
            return Columns(delimiter, 2, 0, 1, None, ())
    if not start.strip():
        raise UserError(f"{path} is empty; it must have a row for each image, below a line with the names of the columns")
    cells = max(rows.values(), key=len, default=[])
    raise UserError(
        f"{path} has the columns {comma_join(map(str.strip, cells), MAX_COLUMNS_NAMED)}; it must have one for the image "
        f"({comma_join(PATH_COLUMNS)}) and one for its class ({comma_join(LABEL_COLUMNS)}), or no header line and two columns, "
        "of which the first is an image that exists"
    )


def check_distinct(path: str, names: Sequence[str]) -> None:
    """Raises a `UserError` if two columns have a name that means something."""
    plain_names = [name.casefold() for name in names]
    known = {*PATH_COLUMNS, *LABEL_COLUMNS, *SPLIT_COLUMNS}
    if twice := next((name for name in plain_names if name in known and plain_names.count(name) > 1), None):
        raise UserError(f"{path} has {plain_names.count(twice)} columns called {twice}; each name must stand once")


def other_labels(path: str, columns: Columns) -> Iterator[str]:
    """Yields a line if the class could also be in another column."""
    used = columns.names[columns.label] if columns.names else ""
    if others := [name for name in columns.names if name.casefold() in LABEL_COLUMNS and name != used]:
        yield f"{path}: the class is in the column {used}, not in {comma_join(others)}"


def check_count(path: str, line: int, cells: Sequence[str], columns: Columns) -> None:
    """Raises a `UserError` unless a row has too many values only because empty ones end it."""
    if len(cells) < columns.count or any(map(str.strip, cells[columns.count :])):
        raise UserError(
            f"{path} has in line {line} {len(cells)} columns, and in its first line {columns.count}; a value that contains "
            f"{columns.delimiter!r} must stand in double quotes"
        )


def check_one_label(path: str, line: int, label: str, separators: str) -> None:
    hint = "; a class whose name has a space in it needs a column called `label`" if " " in separators else ""
    raise UserError(f"{path} has in line {line} more than one label, {label!r}; each image must have one{hint}")


def split_called(path: str, line: int, value: str) -> str:
    for split, names in SPLIT_NAMES.items():
        if plain(value) in names:
            return split
    raise UserError(f"{path} has in line {line} the split {value.strip()!r}; it must be {', '.join(SPLIT_NAMES)}")
