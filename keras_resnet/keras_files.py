"""What is inside of a `.keras` file, checked before Keras builds anything of it."""

import math
import os
import zipfile
from collections.abc import Iterator
from typing import Any

from keras_resnet.archives import check_content, open_archive, open_member, read_member
from keras_resnet.errors import UserError
from keras_resnet.hdf5 import open_hdf5
from keras_resnet.records import MAX_BYTES, is_scalar, parse_json, shown

CONFIG_MEMBER, WEIGHTS_MEMBER = "config.json", "model.weights.h5"
MAX_LAYERS = 50_000  # ResNet1202V1 has 4,800
MAX_NAME = 1000  # characters of a layer's name
FREE_WEIGHTS = 1 << 20


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
        layers = check_layers(path, config["config"])
        if WEIGHTS_MEMBER in archive.namelist():
            with open_member(path, archive, WEIGHTS_MEMBER) as file, open_hdf5(file, path):
                check_weights(path, config["config"], archive.getinfo(WEIGHTS_MEMBER).file_size)
        return layers


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
    count = 0
    for where, layer in layers_of(path, config):
        check_object(path, layer, where)
        count += 1
        if count > MAX_LAYERS:
            raise UserError(f"{path} has more than {MAX_LAYERS:,} layers")
    return count


def layers_of(path: str | os.PathLike[str], config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the place and the configuration of each layer of a model, of models inside of it, and inside of wrappers."""
    layers = config.get("layers", [])
    if not isinstance(layers, list):
        raise UserError(f"{path} is damaged: layers is {shown(layers)}; it must be a list")
    waiting = [(f"layers[{i}]", layer) for i, layer in enumerate(layers)]
    while waiting:
        where, layer = waiting.pop()
        yield where, layer  # checked before we go on
        inner, wrapped = layer["config"].get("layers"), layer["config"].get("layer")  # the latter as in `TimeDistributed`
        children = [*(inner if isinstance(inner, list) else ()), wrapped]  # or what a custom layer calls so
        waiting += [(f"{where}.layers[{i}]", child) for i, child in enumerate(children) if is_keras_object(child)]


def check_weights(path: str | os.PathLike[str], config: dict[str, Any], stored: int) -> None:
    """Raises a `UserError` if the layers have far more weights than the `stored` bytes hold: Keras makes them first.

    Four bits are the least that a weight takes, in a quantized model.
    """
    claimed = 0
    for where, layer in layers_of(path, config):
        claimed += kernel_size(layer)
        if claimed > 2 * stored + FREE_WEIGHTS:
            raise UserError(f"{path} is damaged: up to {where} it has {claimed:,} weights, and {stored:,} bytes to hold them")


def kernel_size(layer: dict[str, Any]) -> int:
    """How many weights the kernel of a dense or a convolutional layer has, if its configuration says so; else 0."""
    config, build = layer["config"], layer.get("build_config")
    if "depth_multiplier" in config:  # as separable convolutions have, whose kernels are products
        return 0
    shape = build.get("input_shape") if isinstance(build, dict) else None
    channels = shape[-1] if isinstance(shape, list) and shape else None
    window = config.get("kernel_size", [])
    factors = [config.get("filters") or config.get("units"), channels, *(window if isinstance(window, list) else [window])]
    groups = config.get("groups")
    if not all(type(factor) is int for factor in factors):
        return 0
    return math.prod(factors) // (groups if type(groups) is int and groups > 0 else 1)


def check_object(path: str | os.PathLike[str], value: Any, where: str) -> None:
    """Raises a `UserError` unless a value is the configuration of a Keras object, whose name, if any, is a name."""
    if not is_keras_object(value):
        raise UserError(f"{path} is damaged: {where or CONFIG_MEMBER} is {shown(value)}, which describes no Keras object")
    name = value["config"].get("name", "")
    if not is_scalar(name, str) or len(name) > MAX_NAME:
        raise UserError(f"{path} is damaged: {where or CONFIG_MEMBER} is called {shown(name)}, which is no name of a layer")


def is_keras_object(value: Any) -> bool:
    """Whether a value is what Keras writes for a layer, a model or another of its objects."""
    return isinstance(value, dict) and isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict)
