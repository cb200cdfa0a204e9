"""Reads any weight file as `{name: array}`. The file's first bytes tell its format, and nothing inside is ever executed.

Tensors of PyTorch files keep their names, `layer1.0.conv1.weight`; those of Keras files are called after their layer and
variable, `conv1_conv.kernel`, and in a model inside the model after that as well, `resnet50/conv1_conv.kernel`; those of
`.npz` files, TensorFlow's checkpoints and KerasHub's presets likewise, `resnet/root_block/standardized_conv2d.kernel`.

Keras is imported only for a `.keras` file that says nothing about its layers' names, TensorFlow only for a checkpoint.
"""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from keras_resnet.archives import check_content, is_archive, open_archive, open_member
from keras_resnet.errors import UserError
from keras_resnet.foreign_files import library_errors, open_file
from keras_resnet.keras_files import CONFIG_MEMBER, MAX_NAME, WEIGHTS_MEMBER, check_layers, is_keras_object, read_config
from keras_resnet.records import shown

from .hdf5_layers import UnnamedLayersError, read_h5
from .keras_hub_presets import is_preset, read_preset
from .numpy_archives import is_npz, read_npz
from .state_dicts import check_is_state_dict, read_safetensors, read_torch
from .stored_tensors import UNLIMITED, SizeLimits
from .structure import CLASS
from .tensorflow_checkpoints import checkpoint_prefix, read_checkpoint

if TYPE_CHECKING:
    import keras

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
    (0, b"\x93numpy", "it is one array of NumPy; weights are in an .npz file"),
    (0, b"{", "it is JSON; the weights are in other files"),
)


def read(path: str, limits: SizeLimits = UNLIMITED) -> dict[str, np.ndarray]:
    """Reads the tensors of the file.

    Args:
        path: of the file.
        limits: of what is read: a larger tensor comes without its values, see `stored_tensors`.

    Raises:
        UserError: if it cannot be read, or is not a weight file.
    """
    if os.path.isfile(path):  # and neither a preset nor what the names of a checkpoint's files begin with
        limits.check_file(path)
    read_format = find_reader(path)
    with library_errors(path):
        tensors = read_format(path, limits)
    for name in tensors:
        if len(name) > MAX_NAME:
            raise UserError(f"{path} has a name of {len(name):,} characters, {name[:30]!r}...; they have at most {MAX_NAME}")
    return tensors


def find_reader(path: str) -> Callable[[str, SizeLimits], dict[str, np.ndarray]]:
    """The function that reads the tensors of a file of this format; little of the file is read for that.

    Raises:
        UserError: if it cannot be read, or is not a weight file.
    """
    if checkpoint_prefix(path) is not None:
        return read_checkpoint
    if is_preset(path):
        return read_preset
    with open_file(path) as file:
        start = file.read(START)
    with library_errors(path):
        if h5py.is_hdf5(path):
            return lambda path, limits: read_h5(path, path, limits)
        if is_archive(path):
            return tensors_in_archive
    if start[8:9] == b"{":
        return read_safetensors
    if start[:1] == b"\x80":
        return read_torch
    kinds = "Keras (.h5, .weights.h5, .keras), PyTorch (.pth, .safetensors), NumPy (.npz) or TensorFlow (.ckpt, .index)"
    raise UserError(f"{path} is not a weight file of {kinds}{hint(start)}")


def tensors_in_archive(path: str, limits: SizeLimits) -> dict[str, np.ndarray]:
    """The tensors in a `.keras` file, or in one of PyTorch, whose checksums PyTorch itself does not compare."""
    with open_archive(path, limits.file) as archive:
        check_content(path, archive)
        if WEIGHTS_MEMBER in archive.namelist():
            try:
                with open_member(path, archive, WEIGHTS_MEMBER) as file:
                    return read_h5(file, path, limits)
            except UnnamedLayersError:
                from keras_resnet.saving import load_as_saved

                return dict(named_weights(load_as_saved(path)))  # which knows them by the order of its layers
        if CONFIG_MEMBER in archive.namelist():
            raise UserError(f"{path} is a .keras file without {WEIGHTS_MEMBER}")
        if is_npz(archive):
            return read_npz(path, archive, limits)
        check_is_state_dict(path, archive)
    return read_torch(path, limits)


def named_weights(model: "keras.Model", path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yields the weights of a model as `read` names them."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from named_weights(layer, f"{path}{layer.name}/")
        else:
            yield from ((f"{path}{layer.name}.{weight.name}", np.asarray(weight)) for weight in layer.weights)


def hint(start: bytes) -> str:
    """What a file that is not a weight file seems to be, and what to do about it."""
    start = start.lower()
    return next((f": {words}" for place, mark, words in MISTAKEN if start[place : place + len(mark)] == mark), "")


def keras_layers(path: str, inside: str = "") -> list[dict[str, Any]]:
    """The configurations of the layers that a `.keras` file describes; an empty list for other files.

    Their `strides`, if any, are lists of whole numbers; `class_name` is the layer's class.

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
        configs = [child["config"] for child in children if is_keras_object(child)]
        config = next((child for child in configs if child.get("name") == name), {})
    layers = [layer for layer in config.get("layers", ()) if is_keras_object(layer)]
    return [with_strides_as_list(path, {**layer["config"], CLASS: layer.get("class_name")}) for layer in layers]


def with_strides_as_list(path: str, layer: dict[str, Any]) -> dict[str, Any]:
    """A layer's configuration whose strides are a list, if it has any."""
    strides = layer.get("strides")
    if strides is None:
        return {key: value for key, value in layer.items() if key != "strides"}
    strides = strides if isinstance(strides, list) else [strides]
    if not strides or not all(type(stride) is int for stride in strides):
        raise UserError(f"{path} is damaged: strides of {layer.get('name')!r} are {shown(strides)}; they must be whole numbers")
    return {**layer, "strides": strides}
