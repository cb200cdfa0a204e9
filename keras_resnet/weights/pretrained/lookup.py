"""Finds trained weights: by network and name, by the structure of a network, and by what `--model_path` says, without Keras.

The index is read when a name is asked for, or when they are listed: a damaged one is in nobody else's way.
"""

import dataclasses
import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import overload

from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.models.variants import VARIANTS
from keras_resnet.records import converted, parse_json

from ..published import table
from ..published.entries import PACKAGE, PublishedWeights
from ..structure import Structure
from . import entries
from .data_sources import DATA_SOURCES
from .entries import ADVICE, PretrainedWeights

INDEX = "index.json"
FULL_NAME = re.compile(r"(\w+)(?:/(\w+))?")  # ResNet20V2/digits


@overload
def list_pretrained() -> list[PretrainedWeights]: ...
@overload
def list_pretrained(pattern: str) -> list[PublishedWeights]: ...
def list_pretrained(pattern: str | None = None) -> list[PretrainedWeights] | list[PublishedWeights]:
    """Lists the trained weights that come with this package, or, by a pattern, what is known about everyone's.

    Those that come with the package are by data set and network. Each is loaded by `keras_resnet.ResNet20V2(weights="digits")`,
    with the network and the name of one of them, and is what the commands take as `--model_path=ResNet20V2/digits`.

    Args:
        pattern: a pattern of the shell such as "resnet50*", whatever the case of letters, for the name of the weights or of
            their network, here or in their own library. "*" lists all: these, timm's, torchvision's, keras.applications',
            KerasHub's, transformers', BiT's, TF-Slim's and the TensorFlow Model Garden's, the ones that no network here fits
            included. The records are facts: nothing is downloaded, and no weights are there.
    """
    if pattern is None:
        return list(read_index(entries.FOLDER / INDEX))
    own = [published(entry) for entry in read_index(entries.FOLDER / INDEX)]
    return table.matching(pattern, [*own, *table.read_table()])


def published(entry: PretrainedWeights) -> PublishedWeights:
    """Trained weights that come with the package, as a row among everyone's."""
    return PublishedWeights(
        name=entry.full_name,
        architecture=entry.model,
        model=entry.model,
        refused="",
        source=PACKAGE,
        license=entry.license.lower(),
        input_shape=entry.preprocessing.shape,
        classes=len(entry.class_names),
        top1=100 * entry.accuracy,
    )


@functools.cache
def read_index(path: Path) -> tuple[PretrainedWeights, ...]:
    """Reads an `index.json`.

    Raises:
        UserError: if it cannot be read, or is damaged.
    """
    index = f"{path}, the index of the trained weights,"
    try:
        return converted(parse_json(path.read_bytes()), tuple[PretrainedWeights, ...], "")
    except OSError as error:
        raise UserError(f"{index} cannot be read: {error.strerror or first_line(error)}; {ADVICE}") from error
    except UserError as error:
        raise UserError(f"{index} is damaged: {error}; {ADVICE}") from error


def names_of_files(model: str = "*") -> list[str]:
    """The names of the weights whose files are there, for a network or all, by the files alone: for lists in texts."""
    paths = entries.FOLDER.glob(entries.file_name(model, "*"))
    return sorted({path.stem.partition("-")[2] for path in paths})


def is_name(weights: object) -> bool:
    """Whether this is a name of trained weights, of whichever network: "digits" or "ResNet20V2/digits".

    A `Path` is none, nor is `./digits`.
    """
    if not isinstance(weights, str):
        return False
    model, _, name = weights.rpartition("/")
    if name not in DATA_SOURCES or model not in ("", *VARIANTS):
        return False  # without a look into the index
    return any(weights in (entry.name, entry.full_name) for entry in list_pretrained())


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
    fitting = [entry for entry in list_pretrained() if entry.structure.agrees(structure)]
    for entry in list_pretrained():
        varied = entry not in fitting and entry.model.lower() == model_name.lower()
        if varied and name in (entry.name, entry.full_name):
            different = structure.differences(dataclasses.asdict(entry.structure))
            raise UserError(
                f"the weights {entry.full_name} are for {entry.model} as it is, and {model_name} has another "
                f"{comma_join(different)}: build it without arguments that vary it"
            )
    return choose(fitting, name, model_name)


def choose(fitting: Iterable[PretrainedWeights], name: str, model_name: str) -> PretrainedWeights:
    """The weights of a name among those that fit a network, or a `UserError` that says which do, and what they fit."""
    by_name = {entry.name: entry for entry in fitting}
    for entry in by_name.values():
        if name in (entry.name, entry.full_name):
            return entry
    others = [entry.model for entry in list_pretrained() if name in (entry.name, entry.full_name)]
    have = f"{comma_join(others)} {'has' if len(others) == 1 else 'have'} them, and " if others else ""
    raise UserError(f"no weights {name!r} for {model_name}: {have}{model_name} has {comma_join(by_name) or 'none'}")


def resolve_model_path(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The file of the weights that a `--model_path` names, such as `ResNet20V2/digits`; any other path as it is.

    A name is a name: `./ResNet20V2/digits` is a path, and so is a `Path`.

    Raises:
        UserError: for a name of a network without such weights, unless there is such a path; if their file is damaged.
    """
    if not isinstance(path, str):
        return path
    match = FULL_NAME.fullmatch(path)
    model = next((name for name in VARIANTS if match and name.lower() == match[1].lower()), None)
    if match is None or model is None or (match[2] is None and os.path.lexists(path)):
        return path
    for entry in list_pretrained():
        if entry.full_name == path:
            return str(entry.checked_path())
    if os.path.lexists(path):
        return path
    names = [entry.full_name for entry in list_pretrained() if entry.model == model]
    if near := [name for name in names if name.lower() == path.lower()]:
        raise UserError(f"no file or folder {path}, and no trained weights of this name; did you mean {near[0]}?")
    names = names or [entry.full_name for entry in list_pretrained()]
    raise UserError(f"no file or folder {path}, and no trained weights of this name; there are {comma_join(names)}")


def entry_of_file(path: str | os.PathLike[str]) -> PretrainedWeights | None:
    """The weights whose file this is; None for any other path."""
    path = Path(path)
    if path.suffix != ".safetensors" or not same_folder(path, entries.FOLDER):
        return None
    return next((entry for entry in list_pretrained() if entry.path.name == path.name), None)


def same_folder(path: Path, folder: Path) -> bool:
    return os.path.realpath(path.parent) == os.path.realpath(folder)
