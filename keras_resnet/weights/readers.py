"""Reads any weight file as `{name: array}`. The file's first bytes tell its format, and nothing inside is ever executed.

Tensors of PyTorch files keep their names, `layer1.0.conv1.weight`; those of Keras files are called after their layer and
variable, `conv1_conv.kernel`, and in a model inside the model after that as well, `resnet50/conv1_conv.kernel`.
"""

import argparse
import functools
import io
import itertools
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import h5py
import keras
import ml_dtypes
import numpy as np
from safetensors import safe_open

from keras_resnet.archives import check_content, is_archive, open_archive, open_member
from keras_resnet.errors import UserError, comma_join
from keras_resnet.foreign_files import library_errors, open_file
from keras_resnet.hdf5 import open_hdf5, values_to_decode
from keras_resnet.keras_files import CONFIG_MEMBER, MAX_NAME, WEIGHTS_MEMBER, check_layers, read_config
from keras_resnet.records import parse_json, shown
from keras_resnet.saving import load_as_saved

from .stored_tensors import UNLIMITED, SizeLimits, StoredTensor, read_tensors

# The variables of a Keras layer, by their number: Keras files hold them in this order.
KERAS_VARIABLES = {1: ("kernel",), 2: ("kernel", "bias"), 4: ("gamma", "beta", "moving_mean", "moving_variance")}

# The keys under which training programs store a network's tensors, the averaged ones last.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "state_dict_ema", "model_ema", "ema")
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile, and of classifiers that hold a network

MAX_HEADER = 16 << 20  # bytes of a safetensors file's list of tensors
MAX_SHOWN = 60  # characters of a key in a message

START = 264  # bytes
MISTAKEN = (  # for weight files: where they tell what they are, by what, and what to do
    (0, b"version https://git-lfs", "it is a pointer of Git LFS; `git lfs pull` fetches the file"),
    (0, b"<!doctype html", "it is a web page, as a download that needs a login gives"),
    (0, b"<html", "it is a web page, as a download that needs a login gives"),
    (0, b"pk\x03\x04", "it is a zip archive without its end; download or copy it again"),
    (0, b"\x1f\x8b", "it is compressed by gzip; unpack it first"),
    (0, b"bzh", "it is compressed by bzip2; unpack it first"),
    (0, b"\xfd7zxz", "it is compressed by xz; unpack it first"),
    (257, b"ustar", "it is a tar archive; unpack it first, or save the weights again if PyTorch before 0.1.10 wrote it"),
    (0, b"\x93numpy", "it is an array of NumPy"),
    (0, b"{", "it is JSON; the weights are in other files"),
)

T = TypeVar("T")


def read(path: str, limits: SizeLimits = UNLIMITED) -> dict[str, np.ndarray]:
    """Reads the tensors of the file.

    Args:
        path: of the file.
        limits: of what is read: a larger tensor comes without its values, see `stored_tensors`.

    Raises:
        UserError: if it cannot be read, or is not a weight file.
    """
    with open_file(path) as file:
        start = file.read(START)
    limits.check_file(path)
    with library_errors(path):
        if h5py.is_hdf5(path):
            return read_h5(path, path, limits)
        if is_archive(path):
            with open_archive(path, limits.file) as archive:
                check_content(path, archive)
                if WEIGHTS_MEMBER in archive.namelist():
                    try:
                        with open_member(path, archive, WEIGHTS_MEMBER) as file:
                            return read_h5(file, path, limits)
                    except UnnamedLayersError:
                        return dict(named_weights(load_as_saved(path)))  # which knows them by the order of its layers
                check_is_state_dict(path, archive)
            return read_torch(path, limits)
        if start[8:9] == b"{":
            return read_safetensors(path, limits)
        if start[:1] == b"\x80":
            return read_torch(path, limits)
    raise UserError(
        f"{path} is not a weight file of Keras (.h5, .weights.h5, .keras) or PyTorch (.pth, .safetensors){hint(start)}"
    )


class UnnamedLayersError(UserError):
    """A file of early Keras 3, in which layers are known by their order alone."""


def named_weights(model: keras.Model, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yields the weights of a model as `read` names them."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from named_weights(layer, f"{path}{layer.name}/")
        else:
            yield from ((f"{path}{layer.name}.{weight.name}", np.asarray(weight)) for weight in layer.weights)


def hint(start: bytes) -> str:
    """What a file that is not a weight file seems to be, and what to do about it."""
    start = start.lower()
    return next((f": {words}" for place, mark, words in MISTAKEN if start[place : place + len(mark)] == mark), "")


def read_h5(file: str | io.BufferedIOBase, path: str, limits: SizeLimits = UNLIMITED) -> dict[str, np.ndarray]:
    """Reads Keras 3's `.weights.h5`, and the older `.h5` of weights or of a whole model."""
    with open_hdf5(file, path) as opened:
        root: Any = opened.get("model_weights", opened)
        legacy = "layer_names" in root.attrs or "layer_names0" in root.attrs
        stored: dict[str, StoredTensor] = {}
        for layer, values in legacy_layers(root) if legacy else layers_inside(root):
            check_name(path, layer)
            variables = KERAS_VARIABLES.get(len(values), range(len(values)))
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


def check_name(path: str, name: str) -> None:
    """Raises a `UserError` for the name of a layer or tensor that is too long for one."""
    if len(name) > MAX_NAME:
        raise UserError(f"{path} has a name of {len(name):,} characters, {name[:30]!r}...; layers' have at most {MAX_NAME}")


def read_safetensors(path: str, limits: SizeLimits = UNLIMITED) -> dict[str, np.ndarray]:
    """Reads a `.safetensors` file."""
    with open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, MAX_HEADER))
    try:
        parse_json(header)  # of two tensors of one name, safetensors takes the last
    except UserError as error:
        raise UserError(f"{path} cannot be read, its list of tensors is damaged: {error}") from error
    with safe_open(path, framework="numpy") as opened:
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118  not a mapping
        stored = {name: StoredTensor(shape, functools.partial(opened.get_tensor, name)) for name, shape in shapes.items()}
        for name in stored:
            check_name(path, name)
        return read_tensors(strip_prefixes(stored), limits)


def read_torch(path: str, limits: SizeLimits = UNLIMITED) -> dict[str, np.ndarray]:
    """Reads a state dict in either format of `torch.save`, bare or inside a training program's dictionary."""
    try:
        import torch
    except ImportError as error:
        raise UserError(f"{path} is a PyTorch file: reading it needs `pip install keras-resnet-zoo[torch]`") from error
    with (
        torch.serialization.safe_globals(safe_numpy_globals()),
        warnings.catch_warnings(action="ignore"),
        open_file(path) as file,
    ):  # given the path, torch would go by its suffix
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UserError(f"{path} cannot be read: {unpickling_hint(error)}") from error
    state = find_state_dict(content)
    if state is None:
        raise UserError(f"{path} holds no tensors by name, only {describe_content(content)}")
    tensors = {str(name): tensor for name, tensor in state.items() if hasattr(tensor, "detach")}
    for name in tensors:
        check_name(path, name)
    stored = {name: StoredTensor(tuple(t.shape), functools.partial(as_array, t)) for name, t in tensors.items()}
    return read_tensors(strip_prefixes(stored), limits)


def unpickling_hint(error: pickle.UnpicklingError) -> str:
    """What in a PyTorch file may not be loaded, and what to do about it."""
    found = re.search(r"GLOBAL ([\w.]{1,200}) ", str(error))
    if found is None:
        return "it is damaged, or holds objects that are not tensors and might run code"
    return (
        f"besides tensors it holds {found[1]}, which might run code; "
        "where it was written, save the tensors alone: torch.save(model.state_dict(), ...)"
    )


def as_array(tensor: Any) -> np.ndarray:
    """A PyTorch tensor as an array; floating point numbers as float32."""
    array = (tensor.detach().float() if tensor.is_floating_point() else tensor.detach()).numpy()
    return np.ascontiguousarray(array).reshape(array.shape)


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
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    return comma_join((repr(key)[:MAX_SHOWN] for key in itertools.islice(content, 6)), 5) or "an empty dictionary"


def strip_prefixes(tensors: dict[str, T]) -> dict[str, T]:
    """Removes the prefixes that wrappers put before every name."""
    for prefix in PREFIXES * 2:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def check_is_state_dict(path: str, archive: zipfile.ZipFile) -> None:
    """Raises a `UserError` for a zip archive that `torch.save` did not write."""
    names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        raise UserError(
            f"{path} is a TorchScript program, which is not run; save the tensors: torch.save(module.state_dict(), ...)"
        )
    if CONFIG_MEMBER in names:
        raise UserError(f"{path} is a .keras file without {WEIGHTS_MEMBER}")
    if not any(name.endswith("/data.pkl") for name in names):
        raise UserError(f"{path} is a zip archive, but neither Keras nor PyTorch wrote it; it holds {comma_join(names, 3)}")


def keras_layers(path: str, inside: str = "") -> list[dict[str, Any]]:
    """The configurations of the layers that a `.keras` file describes; an empty list for other files.

    Their `strides`, if any, are lists of whole numbers.

    Args:
        path: of the file.
        inside: the path of names of a model inside the model, such as "resnet50/", whose layers are wanted.
    """
    if h5py.is_hdf5(path) or not is_archive(path):
        return []
    with open_archive(path) as archive:
        found = read_config(path, archive)
    if found is None:
        return []
    config = found["config"]
    check_layers(path, config)
    for name in filter(None, inside.split("/")):
        children = [*config.get("layers", ()), config.get("layer")]  # the latter in a wrapper, such as `TimeDistributed`
        configs = [child["config"] for child in children if isinstance(child, dict)]
        config = next((child for child in configs if child.get("name") == name), {})
    return [with_strides_as_list(path, layer["config"]) for layer in config.get("layers", ())]


def with_strides_as_list(path: str, layer: dict[str, Any]) -> dict[str, Any]:
    """A layer's configuration whose strides are a list, if it has any."""
    strides = layer.get("strides")
    if strides is None:
        return {key: value for key, value in layer.items() if key != "strides"}
    strides = strides if isinstance(strides, list) else [strides]
    if not strides or not all(type(stride) is int for stride in strides):
        raise UserError(f"{path} is damaged: strides of {layer.get('name')!r} are {shown(strides)}; they must be whole numbers")
    return {**layer, "strides": strides}
