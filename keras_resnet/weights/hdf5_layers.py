"""Reads Keras' HDF5 files, of all versions: their tensors are called after their layer and variable, `conv1_conv.kernel`."""

import functools
import io
import itertools
from collections.abc import Iterator
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.hdf5 import open_hdf5, values_to_decode

from .stored_tensors import UNLIMITED, SizeLimits, StoredTensor, read_tensors

# The variables of a Keras layer, by their number: Keras files hold them in this order.
KERAS_VARIABLES = {1: ("kernel",), 2: ("kernel", "bias"), 4: ("gamma", "beta", "moving_mean", "moving_variance")}
GROUP_NORM_VARIABLES = ("gamma", "beta")


class UnnamedLayersError(UserError):
    """A file of early Keras 3, in which layers are known by their order alone."""


def read_h5(file: str | io.BufferedIOBase, path: str, limits: SizeLimits = UNLIMITED) -> dict[str, np.ndarray]:
    """Reads Keras 3's `.weights.h5`, and the older `.h5` of weights or of a whole model."""
    with open_hdf5(file, path) as opened:
        root: Any = opened.get("model_weights", opened)
        legacy = "layer_names" in root.attrs or "layer_names0" in root.attrs
        stored: dict[str, StoredTensor] = {}
        for layer, values in legacy_layers(root) if legacy else layers_inside(root):
            variables = KERAS_VARIABLES.get(len(values), range(len(values)))
            if len(values) == 2 and len(values[0].shape) == 1:
                variables = GROUP_NORM_VARIABLES
            for variable, value in zip(variables, values, strict=True):
                if (name := f"{layer}.{variable}") in stored:
                    raise UserError(f"{path} has two layers called {layer!r}: which of them is meant cannot be told")
                stored[name] = StoredTensor(value.shape, functools.partial(read_dataset, value), values_to_decode(value))
        return read_tensors(stored, limits)


def read_dataset(dataset: h5py.Dataset) -> np.ndarray:
    """The values of a dataset; Keras notes which bytes are bfloat16, since HDF5 has no such type."""
    array = np.array(dataset)
    if dataset.attrs.get("dtype") == "bfloat16" and array.dtype.itemsize == 2:
        return array.view(ml_dtypes.bfloat16)
    return array


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
    numbered = (f"{attribute}{number}" for number in itertools.count())
    chunks = [attribute] if attribute in group.attrs else itertools.takewhile(lambda chunk: chunk in group.attrs, numbered)
    return [as_text(name) for chunk in chunks for name in group.attrs[chunk]]


def layers_inside(group: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yields the layers of a `.weights.h5` file, by the path of their names, with their variables.

    A model inside the model is a layer with a group of layers, or an attribute of one, as in a wrapper.
    """
    models = [child for key, child in group.items() if key not in ("layers", "vars") and holds_layers(child)]
    for layer in [*group.get("layers", {}).values(), *models]:
        variables = layer.get("vars", {})
        if len(variables) and "name" not in variables.attrs:
            advice = "load it into its own model with a newer Keras, and save it again"
            raise UnnamedLayersError(f"{group.file.filename}: its layers have no names, as in files of early Keras 3; {advice}")
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
