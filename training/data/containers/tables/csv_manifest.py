"""A CSV or TSV file that lists images, their classes and their splits."""

import array
import os
import re
from collections.abc import Iterator, Sequence

import numpy as np

from keras_resnet.class_names import read_class_names, without_numbers
from keras_resnet.errors import UserError, comma_join
from keras_resnet.remote import is_remote

from ..binary_files import exists, is_folder, names_in
from ..folder import SPLIT_NAMES
from ..labels import classes_of, is_labeled, no_labels
from ..listing import Listing, check_class_names, in_order
from ..packed_strings import PackedStrings
from ..records import FileRecords
from .csv_rows import read_rows
from .regular_files import FILE, MISSING, NOT_A_FILE, file_states

SUFFIXES = (".csv", ".tsv")
CLASS_NAMES_FILE = "classes.txt"
MAX_ROWS_NAMED = 3  # in a message
WHOLE = re.compile(rb"/|[a-z0-9]+://")  # how a path begins that is not relative


class Rows:
    """The rows of a manifest, in little memory.

    Attributes:
        paths: As they are written.
        labels, splits: Which of `values`, the distinct labels, and of the names of splits each row has, int32 and int8 (N,).
        lines: int64 (N,), where each row is in the file.
        notes: Lines for the user about the columns.
    """

    def __init__(self, path: str) -> None:
        content, ends = bytearray(), array.array("q")
        labels, splits, lines, self._hashes = array.array("i"), array.array("b"), array.array("q"), array.array("q")
        codes: dict[str, int] = {}
        split_codes = {split: code for code, split in enumerate(SPLIT_NAMES)}
        self.notes: list[str] = []
        for row in read_rows(path, self.notes):
            name = os.fsencode(row.path.removeprefix("./"))
            content += name
            ends.append(len(content))
            labels.append(codes.setdefault(row.label, len(codes)))
            splits.append(split_codes[row.split])
            lines.append(row.line)
            self._hashes.append(hash(name))
        self.paths = PackedStrings(bytes(content), np.array(ends, np.int64))
        self.labels, self.splits, self.lines = np.array(labels), np.array(splits), np.array(lines)
        self.values = tuple(codes)

    def __len__(self) -> int:
        return len(self.lines)

    def first_line(self, value: str) -> int:
        """Returns the first line with a label."""
        return int(self.lines[np.argmax(self.labels == self.values.index(value))])

    def repeats(self, path: str) -> np.ndarray:
        """Returns which rows are the same as one before: bool (N,).

        Raises:
            UserError: Two rows give one image different classes or splits.
        """
        repeated = np.zeros(len(self), bool)
        hashes = np.array(self._hashes)
        order = np.argsort(hashes, kind="stable")
        same = hashes[order[1:]] == hashes[order[:-1]]
        first: dict[bytes, int] = {}
        for row in order[np.concatenate([[False], same]) | np.concatenate([same, [False]])] if len(self) else ():
            other = first.setdefault(self.paths[row], row)
            if other == row:
                continue
            repeated[row] = True
            for what, values in (("classes", self.labels), ("splits", self.splits)):
                if values[row] != values[other]:
                    name = os.fsdecode(self.paths[row])
                    raise UserError(f"{path} gives {name} different {what} in lines {self.lines[other]} and {self.lines[row]}")
        return repeated


def list_csv(path: str | os.PathLike[str]) -> Listing:
    """Lists the images of a manifest, or of the only one in a folder. Its notes count and name what is not used."""
    manifest = find_manifest(os.fspath(path))
    rows = Rows(manifest)
    if not len(rows):
        raise UserError(f"{manifest} lists no images")
    folder = os.path.dirname(manifest)
    classes = classes_of(rows.values, lambda value: f"{manifest} has in line {rows.first_line(value)}", names_beside(folder))
    check_class_names(manifest, classes.names)
    repeated = rows.repeats(manifest)
    root, paths = rooted(folder, rows.paths)
    states = file_states(root, paths)
    notes = [*rows.notes, *left_out(manifest, rows, repeated, states)]
    records = FileRecords.of(root, paths)
    labels = np.array([classes.labels[value] for value in rows.values])[rows.labels]
    splits = {}
    for code, split in enumerate(SPLIT_NAMES):
        used = np.flatnonzero((rows.splits == code) & ~repeated & (states == FILE))
        if not len(used):
            continue
        if is_labeled(manifest, split, labels[used], lambda row, used=used: f"line {rows.lines[used[row]]}"):
            splits[split] = in_order(records.take(used), labels[used])
        else:
            notes.append(no_labels(manifest, split))
    return Listing(classes.names, splits, tuple(notes))


def find_manifest(path: str) -> str:
    """Returns the manifest that `--data_dir` is, or has in it."""
    if not exists(path):
        raise UserError(f"data_dir is {path}, which does not exist; it must be a CSV or TSV file, or a folder with one in it")
    if not is_folder(path):
        return path
    found = [name for name in names_in(path) if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    if len(found) != 1:
        problem = f"has {comma_join(found, MAX_ROWS_NAMED)} in it; --data_dir must be one of them" if found else ""
        raise UserError(f"data_dir is {path}, which {problem or 'has no CSV or TSV file in it'}")
    return os.path.join(path, found[0])


def names_beside(folder: str) -> Sequence[str] | None:
    """Returns the names of the classes that a file beside the manifest has, without their numbers; None if there is none."""
    path = os.path.join(folder, CLASS_NAMES_FILE)
    if is_remote(path) or not os.path.lexists(path):
        return None
    names = read_class_names(path)
    return without_numbers(names) or names


def rooted(folder: str, paths: PackedStrings) -> tuple[str, PackedStrings]:
    """Returns the root of `FileRecords` and their paths: relative to the manifest, or all whole if one lies elsewhere."""
    root = os.path.join(folder, "") if folder else ""
    absolute = os.fsencode(root if is_remote(root) else os.path.join(os.path.abspath(folder), ""))
    if not any(WHOLE.match(paths[row]) for row in range(len(paths))):
        return root, paths
    below = PackedStrings.of(paths[row].removeprefix(absolute) for row in range(len(paths)))
    if not any(WHOLE.match(below[row]) for row in range(len(below))):
        return root, below
    return "", PackedStrings.of(p if WHOLE.match(p := paths[row]) else absolute + p for row in range(len(paths)))


def left_out(path: str, rows: Rows, repeated: np.ndarray, states: np.ndarray) -> Iterator[str]:
    """Yields a line that counts the rows which are not used, with the first of each kind; none if there are none.

    Raises:
        UserError: None is used.
    """
    kinds = {
        "do not exist": (states == MISSING) & ~repeated,
        "are not regular files": (states == NOT_A_FILE) & ~repeated,
        "repeat a row above": repeated,
    }
    parts = []
    for what, chosen in kinds.items():
        if len(which := np.flatnonzero(chosen)):
            named = [f"{os.fsdecode(rows.paths[row])} in line {rows.lines[row]}" for row in which[:MAX_ROWS_NAMED]]
            parts.append(f"{len(which)} {what} ({comma_join([*named, '...'] if len(which) > len(named) else named)})")
    if not (states == FILE).any():
        where = os.path.dirname(path) or "this folder"
        raise UserError(f"{path} has no image that can be used; paths are relative to {where}: {'; '.join(parts)}")
    if parts:
        count = sum(chosen.sum() for chosen in kinds.values())
        yield f"of the {len(rows)} rows of {path}, {count} are not used: {'; '.join(parts)}"
