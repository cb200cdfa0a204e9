"""What is inside of a `.keras` file, checked before Keras builds anything of it."""

import os
import zipfile
from typing import Any

from keras_resnet.archives import check_content, open_archive, open_member, read_member
from keras_resnet.errors import UserError
from keras_resnet.hdf5 import open_hdf5
from keras_resnet.records import MAX_BYTES, is_scalar, parse_json, shown

CONFIG_MEMBER, WEIGHTS_MEMBER = "config.json", "model.weights.h5"
MAX_LAYERS = 50_000  # ResNet1202V1 has 4,800
MAX_NAME = 1000  # characters of a layer's name


def check_keras_file(path: str | os.PathLike[str]) -> int:
    """Checks all of a `.keras` file that can be told without building its model.

    Returns:
        The number of layers that it describes, those inside of others included.

    Raises:
        UserError: if the file is damaged, claims to hold more than it does, or refers to other files.
    """
    with open_archive(path) as archive:
        check_content(path, archive)
        config = read_config(path, archive)
        if config is None:
            raise UserError(f"{path} is not a .keras file: it has no {CONFIG_MEMBER}")
        if WEIGHTS_MEMBER in archive.namelist():
            with open_member(path, archive, WEIGHTS_MEMBER) as file, open_hdf5(file, path):
                pass
        return check_layers(path, config["config"])


def read_config(path: str | os.PathLike[str], archive: zipfile.ZipFile) -> dict[str, Any] | None:
    """Reads the configuration in a `.keras` file's archive; None if it has none.

    Raises:
        UserError: if it is not that of a Keras object.
    """
    if CONFIG_MEMBER not in archive.namelist():
        return None
    try:
        config = parse_json(read_member(path, archive, CONFIG_MEMBER, MAX_BYTES))
    except UserError as error:
        raise UserError(f"{path} is damaged, in {CONFIG_MEMBER}: {error}") from error
    check_object(path, config, "")
    return config


def check_layers(path: str | os.PathLike[str], config: dict[str, Any]) -> int:
    """Counts the layers of a model's configuration, those of models inside of it included, and checks them and their names."""
    count, models = 0, [("", config)]
    while models:
        where, model = models.pop()
        layers = model.get("layers", [])
        if not isinstance(layers, list):
            raise UserError(f"{path} is damaged: {where}layers is {shown(layers)}; it must be a list")
        count += len(layers)
        if count > MAX_LAYERS:
            raise UserError(f"{path} has more than {MAX_LAYERS:,} layers")
        children = [(f"{where}layers[{i}]", layer) for i, layer in enumerate(layers)]
        if isinstance(model.get("layer"), dict):  # in a wrapper, such as `TimeDistributed`
            children.append((f"{where}layer", model["layer"]))
        for name, child in children:
            check_object(path, child, name)
            models.append((f"{name}.", child["config"]))
    return count


def check_object(path: str | os.PathLike[str], value: Any, where: str) -> None:
    """Raises a `UserError` unless a value is the configuration of a Keras object, whose name, if any, is a name."""
    found = isinstance(value, dict) and isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict)
    if not found:
        raise UserError(f"{path} is damaged: {where or CONFIG_MEMBER} is {shown(value)}, which describes no Keras object")
    name = value["config"].get("name", "")
    if not is_scalar(name, str) or len(name) > MAX_NAME:
        raise UserError(f"{path} is damaged: {where or CONFIG_MEMBER} is called {shown(name)}, which is no name of a layer")
