"""Reads any weight file as `{name: array}`. The file's first bytes tell its format, and nothing inside is ever executed.

Tensors of PyTorch files keep their names, `layer1.0.conv1.weight`; those of Keras files are called after their layer and
variable, `conv1_conv.kernel`, and in a model inside the model after that as well, `resnet50/conv1_conv.kernel`.
"""

import argparse
import io
import itertools
import json
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import load_file

from keras_resnet.errors import UserError, comma_join, first_line

# The variables of a Keras layer, by their number: Keras files hold them in this order.
KERAS_VARIABLES = {1: ("kernel",), 2: ("kernel", "bias"), 4: ("gamma", "beta", "moving_mean", "moving_variance")}

# The keys under which training programs store a network's tensors, the averaged ones last.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "state_dict_ema", "model_ema", "ema")
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile, and of classifiers that hold a network


def read(path: str) -> dict[str, np.ndarray]:
    """Reads the tensors of the file.

    Raises:
        UserError: if it cannot be read, or is not a weight file.
    """
    with open(path, "rb") as file:
        start = file.read(264)
    try:
        if h5py.is_hdf5(path):
            return read_h5(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if "model.weights.h5" in archive.namelist():
                    return read_h5(io.BytesIO(archive.read("model.weights.h5")))
            return read_torch(path)
        if start[8:9] == b"{":
            return strip_prefixes(load_file(path))
        if start[:1] == b"\x80" or tarfile.is_tarfile(path):
            return read_torch(path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be read, it may be damaged: {first_line(error)}") from error
    raise UserError(f"{path} is not a weight file of Keras (.h5, .weights.h5, .keras) or PyTorch (.pth, .safetensors)")


def read_h5(file: str | io.BytesIO) -> dict[str, np.ndarray]:
    """Reads Keras 3's `.weights.h5`, and the older `.h5` of weights or of a whole model."""
    with h5py.File(file) as opened:
        root: Any = opened.get("model_weights", opened)
        legacy = "layer_names" in root.attrs or "layer_names0" in root.attrs
        tensors = {}
        for layer, values in legacy_layers(root) if legacy else layers_inside(root):
            variables = KERAS_VARIABLES.get(len(values), range(len(values)))
            named = {f"{layer}.{variable}": np.array(value) for variable, value in zip(variables, values, strict=True)}
            if twice := [name for name in named if name in tensors]:
                raise ValueError(f"it has two layers of one name: {comma_join(twice, 3)}")
            tensors.update(named)
        return tensors


def legacy_layers(root: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yields the layers of an `.h5` file, by the path of their names, with their variables.

    The group of a model inside the model holds the variables of all layers in there, each by the path of its layer.
    """
    for name in names_in(root, "layer_names"):
        weights = names_in(root[name], "weight_names")
        by_parent: dict[str, list[Any]] = {}
        for weight in weights:
            by_parent.setdefault(weight.rpartition("/")[0], []).append(root[name][weight])
        for parent, values in by_parent.items():
            yield f"{name}/{parent.removeprefix(f'{name}/')}" if len(by_parent) > 1 else name, values


def names_in(group: Any, attribute: str) -> list[str]:
    """The names in an attribute, which Keras cuts into several, with numbers after their own names, where they are many."""
    if attribute in group.attrs:
        return [as_text(name) for name in group.attrs[attribute]]
    chunks = itertools.takewhile(lambda chunk: chunk in group.attrs, (f"{attribute}{number}" for number in itertools.count()))
    return [as_text(name) for chunk in chunks for name in group.attrs[chunk]]


def layers_inside(group: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yields the layers of a `.weights.h5` file, by the path of their names, with their variables.

    A model inside the model is a layer with a group of layers, or an attribute of one, as in a wrapper.
    """
    models = [child for key, child in group.items() if key not in ("layers", "vars") and holds_layers(child)]
    for layer in [*group.get("layers", {}).values(), *models]:
        variables = layer.get("vars", {})
        if len(variables) and "name" not in variables.attrs:
            raise ValueError("its layers have no names, as in files of early Keras 3; save it again with a newer Keras")
        name = as_text(getattr(variables, "attrs", {}).get("name", layer.name.rpartition("/")[2]))
        if len(variables):
            yield f"{path}{name}", [variables[str(number)] for number in range(len(variables))]
        yield from layers_inside(layer, f"{path}{name}/")


def holds_layers(group: Any) -> bool:
    """Whether there are layers in a group, at any depth."""
    return isinstance(group, h5py.Group) and bool(group.visit(lambda name: name.rpartition("/")[2] == "layers" or None))


def as_text(name: Any) -> str:
    """Decodes a name in an HDF5 attribute."""
    return name.decode() if isinstance(name, bytes) else str(name)


def read_torch(path: str) -> dict[str, np.ndarray]:
    """Reads a state dict in either format of `torch.save`, bare or inside a training program's dictionary."""
    try:
        import torch
    except ImportError as error:
        raise UserError(f"{path} is a PyTorch file: reading it needs `pip install keras-resnet-zoo[torch]`") from error
    with (
        torch.serialization.safe_globals(safe_numpy_globals()),
        warnings.catch_warnings(action="ignore"),
        open(path, "rb") as file,
    ):  # given the path, torch would go by its suffix
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UserError(
                f"{path} cannot be read: it is damaged, or holds objects that are not tensors and might run code"
            ) from error
    state = find_state_dict(content)
    if state is None:
        raise UserError(f"{path} holds no tensors by name, only {describe_content(content)}")
    return strip_prefixes({str(name): as_array(t) for name, t in state.items() if hasattr(t, "detach")})


def as_array(tensor: Any) -> np.ndarray:
    """A PyTorch tensor as an array; floating point numbers as float32."""
    return (tensor.detach().float() if tensor.is_floating_point() else tensor.detach()).numpy()


def safe_numpy_globals() -> list[Any]:
    """What unpickles the numbers and arrays that training programs store with the tensors, by NumPy's old and new names."""
    functions: list[Any] = [np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]]  # what their pickles call
    dtypes = {type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"}
    named = [(function, f"numpy.{core}.multiarray.{function.__name__}") for function in functions for core in ("core", "_core")]
    return [argparse.Namespace, np.dtype, np.ndarray, *dtypes, *named]


def find_state_dict(content: Any) -> Mapping[str, Any] | None:
    """Finds the mapping from names to tensors in a PyTorch file's content: itself, or inside one of the usual wrappers.

    Where the content has a dictionary of tensors for each part of a network, their keys come before the names.
    """
    if not isinstance(content, dict):
        return None
    if has_matrices(content):
        return content
    found = (find_state_dict(content[key]) for key in WRAPPERS if key in content)
    parts = {key: part for key, part in content.items() if isinstance(part, dict)}
    joined = {f"{key}.{name}": value for key, part in parts.items() for name, value in part.items()}
    return next((state for state in found if state is not None), joined if has_matrices(joined) else None)


def has_matrices(content: Mapping[Any, Any]) -> bool:
    """Whether there are tensors with more than one axis in a dictionary."""
    return any(hasattr(value, "detach") and value.ndim > 1 for value in content.values())


def describe_content(content: Any) -> str:
    """The keys of a dictionary, or the type of something else."""
    return comma_join(map(repr, content)) if isinstance(content, dict) else f"a {type(content).__name__}"


def strip_prefixes(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Removes the prefixes that wrappers put before every name."""
    for prefix in PREFIXES * 2:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def keras_layers(path: str, inside: str = "") -> list[dict[str, Any]]:
    """The configurations of the layers that a `.keras` file describes; an empty list for other files.

    Args:
        path: of the file.
        inside: the path of names of a model inside the model, such as "resnet50/", whose layers are wanted.
    """
    if h5py.is_hdf5(path) or not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            return []
        config = json.loads(archive.read("config.json"))["config"]
    for name in filter(None, inside.split("/")):
        children = [*config.get("layers", ()), config.get("layer")]  # the latter in a wrapper, such as `TimeDistributed`
        configs = [child["config"] for child in children if isinstance(child, dict)]
        config = next((child for child in configs if child.get("name") == name), {})
    return [layer["config"] for layer in config.get("layers", ())]
