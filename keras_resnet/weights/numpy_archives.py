"""Reads `.npz` files, which hold Google's BiT: their tensors are called after their layer and variable, as Keras files' are."""

import functools
import math
import zipfile
from typing import IO

import numpy as np

from keras_resnet.archives import open_member
from keras_resnet.errors import UserError

from .stored_tensors import SizeLimits, StoredTensor, read_tensors

SUFFIX = ".npy"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NUMBERS = "fiub"  # kinds of NumPy's; all others are objects, texts or records


def is_npz(archive: zipfile.ZipFile) -> bool:
    """Whether a zip archive holds NumPy's arrays and nothing else."""
    names = archive.namelist()
    return bool(names) and all(name.endswith(SUFFIX) for name in names)


def read_npz(path: str, archive: zipfile.ZipFile, limits: SizeLimits) -> dict[str, np.ndarray]:
    """Reads the arrays of an opened `.npz` file: "resnet/block1/unit01/a/group_norm/gamma" as "....group_norm.gamma".

    Raises:
        UserError: for arrays of objects, which might run code, and for one that claims more than it stores.
    """
    stored = {}
    for member in archive.infolist():
        layer, _, variable = member.filename.removesuffix(SUFFIX).rpartition("/")
        shape = check_array(path, archive, member)
        read = functools.partial(read_array, path, archive, member.filename)
        stored[f"{layer}.{variable}" if layer else variable] = StoredTensor(shape, read)
    return read_tensors(stored, limits)


def check_array(path: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, ...]:
    """The shape of an array, or a `UserError` for one that is not made of as many numbers as it says."""
    with archive.open(member) as file:
        shape, dtype = read_header(path, member.filename, file)
        claimed, held = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if dtype.kind not in NUMBERS or dtype.hasobject:
        raise UserError(f"{path} holds {dtype} in {member.filename!r}, which is not read; weights are numbers")
    if claimed != held:
        raise UserError(f"{path} is damaged: {member.filename!r} claims {claimed:,} bytes, and has {held:,}")
    return shape


def read_header(path: str, name: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of an array; the file is read up to its values."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise UserError(f"{path} has an array of NumPy's format {version} in {name!r}; (1, 0) and (2, 0) can be read")
    shape, _, dtype = HEADERS[version](file)
    return shape, dtype


def read_array(path: str, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The values of an array, in rows."""
    with open_member(path, archive, name) as file:
        return np.ascontiguousarray(np.lib.format.read_array(file, allow_pickle=False))
