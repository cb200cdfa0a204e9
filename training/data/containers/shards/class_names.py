"""The names of the classes of shards that have numbers for labels: in a text file or a JSON file beside them."""

import itertools
import os

from keras_resnet.class_names import check_are_lines, read_class_names, without_numbers
from keras_resnet.errors import UserError
from keras_resnet.records import parse_json
from keras_resnet.remote_copies import local

from ..binary_files import exists, open_binary
from .files import Shards, split_of

TEXT_FILES = ("classes.txt", "classnames.txt", "class_names.txt", "labels.txt")
JSON_FILE, JSON_KEYS = "dataset.json", ("class_names", "classnames", "classes", "names", "labels")


def class_names_beside(shards: Shards) -> tuple[str, ...] | None:
    """Returns the class names that stand in a file beside the shards; None if there is no such file.

    Where the shards lie in folders of the splits, the file may be beside these.

    Raises:
        UserError: The file cannot be read.
    """
    folders = dict.fromkeys(os.path.dirname(path) for paths in shards.of_split.values() for path in paths)
    folders |= dict.fromkeys(os.path.dirname(folder) for folder in folders if split_of(os.path.basename(folder)))
    for folder, name in itertools.product(folders, (*TEXT_FILES, JSON_FILE)):
        path = os.path.join(folder, name)
        if exists(path) and (names := names_in_json(path) if name == JSON_FILE else names_in_text(path)):
            return names
    return None


def names_in_text(path: str) -> tuple[str, ...]:
    names = read_class_names(local(path))
    return without_numbers(names) or names


def names_in_json(path: str) -> tuple[str, ...] | None:
    """The list of names in a JSON file; None if it has none."""
    try:
        value = parse_json(text_of(path))
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    key = next((key for key in JSON_KEYS if isinstance(value, dict) and isinstance(value.get(key), list)), None)
    names = value if isinstance(value, list) else value[key] if key else None
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    check_are_lines(names, f"{path} has names that are not a line of text")
    return tuple(names)


def text_of(path: str) -> str:
    with open_binary(path) as file:
        return file.read().decode("utf-8-sig", "replace")
