"""Finds trained weights: by network and name, by the structure of a network, and by what `--model_path` says, without Keras."""

import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from keras_resnet.errors import UserError, comma_join
from keras_resnet.models.variants import VARIANTS
from keras_resnet.records import converted, read_json

from ..structure import Structure
from . import entries
from .entries import PretrainedWeights

INDEX = "index.json"
FULL_NAME = re.compile(r"(\w+)(?:/(\w+))?")  # ResNet20V2/digits


def list_pretrained() -> list[PretrainedWeights]:
    """Lists the trained weights that come with this package, by data set and network.

    Each is loaded by `keras_resnet.ResNet20V2(weights="digits")`, with the network and the name of one of them, and is what
    the commands take as `--model_path=ResNet20V2/digits`.
    """
    return list(read_index(entries.FOLDER / INDEX))


@functools.cache
def read_index(path: Path) -> tuple[PretrainedWeights, ...]:
    """Reads an `index.json`."""
    try:
        return converted(read_json(path), tuple[PretrainedWeights, ...], "")
    except UserError as error:
        raise UserError(f"{path}, the index of the trained weights, is damaged: {error}") from error


def is_name(weights: object) -> bool:
    """Whether this is a name of trained weights, of whichever network. A `Path` is none, nor is `./digits`."""
    return isinstance(weights, str) and any(entry.name == weights for entry in list_pretrained())


def find_entry(model: str, name: str) -> PretrainedWeights:
    """The weights of a name for a named network.

    Raises:
        UserError: if there are none.
    """
    return choose([entry for entry in list_pretrained() if entry.model == model], name, model)


def find_entry_for(structure: Structure, name: str, model_name: str) -> PretrainedWeights:
    """The weights of a name for a network of that structure, which messages call `model_name`.

    Raises:
        UserError: if there are none.
    """
    return choose([entry for entry in list_pretrained() if entry.structure == structure], name, model_name)


def choose(fitting: Iterable[PretrainedWeights], name: str, model_name: str) -> PretrainedWeights:
    """The weights of a name among those that fit a network, or a `UserError` that says which do, and what they fit."""
    by_name = {entry.name: entry for entry in fitting}
    if name in by_name:
        return by_name[name]
    others = [entry.model for entry in list_pretrained() if entry.name == name]
    have = f"{comma_join(others)} {'has' if len(others) == 1 else 'have'} them, and " if others else ""
    raise UserError(f"no weights {name!r} for {model_name}: {have}{model_name} has {comma_join(by_name) or 'none'}")


def resolve_model_path(path: str) -> str:
    """The file of the weights that a `--model_path` names, such as `ResNet20V2/digits`; any other path as it is.

    A name is a name: `./ResNet20V2/digits` is a path.

    Raises:
        UserError: for a name of a network without such weights, unless there is such a path.
    """
    match = FULL_NAME.fullmatch(path)
    model = next((name for name in VARIANTS if match and name.lower() == match[1].lower()), None)
    if match is None or model is None:
        return path
    for entry in list_pretrained():
        if entry.full_name == path:
            return str(entry.path)
    if os.path.lexists(path):
        return path
    names = [entry.full_name for entry in list_pretrained() if entry.model == model]
    names = names or [entry.full_name for entry in list_pretrained()]
    raise UserError(f"no file or folder {path}, and no trained weights of this name; there are {comma_join(names)}")


def entry_of_file(path: str | os.PathLike[str]) -> PretrainedWeights | None:
    """The weights whose file this is; None for any other path."""
    path = Path(path)
    if path.suffix != ".safetensors":
        return None
    return next(
        (entry for entry in list_pretrained() if entry.path.name == path.name and same_folder(path, entries.FOLDER)), None
    )


def same_folder(path: Path, folder: Path) -> bool:
    return os.path.realpath(path.parent) == os.path.realpath(folder)
