"""Reads files of PyTorch and safetensors: `{name: array}`, names without the prefixes that wrappers put before all of them."""

import argparse
import functools
import itertools
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from safetensors import safe_open

from keras_resnet.errors import UserError, comma_join
from keras_resnet.foreign_files import open_file
from keras_resnet.records import parse_json

from .stored_tensors import UNLIMITED, SizeLimits, StoredTensor, read_tensors

# The keys under which training programs store a network's tensors, the averaged ones last.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "state_dict_ema", "model_ema", "ema")
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile, and of classifiers that hold a network

MAX_HEADER = 16 << 20  # bytes of a safetensors file's list of tensors
MAX_SHOWN = 60  # characters of a key in a message

T = TypeVar("T")


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
    if not any(name.endswith("/data.pkl") for name in names):
        raise UserError(f"{path} is a zip archive, but neither Keras nor PyTorch wrote it; it holds {comma_join(names, 3)}")
