"""Opens HDF5 files that anybody may have written: their own numbers only, as many as they store."""

import contextlib
import io
import math
import os
from collections.abc import Iterator
from typing import Any

import h5py

from keras_resnet.errors import UserError
from keras_resnet.foreign_files import library_errors

NUMBERS = "fiubV"  # kinds of NumPy's; V is for bfloat16, which HDF5 lacks
MAX_EXPANSION = 100  # of compressed datasets beyond the first `FREE_BYTES`; weights hardly compress
FREE_BYTES = 64 << 20
MAX_ATTRIBUTE = 16 << 20  # bytes; the names of a network's layers take some hundred thousand


@contextlib.contextmanager
def open_hdf5(file: str | os.PathLike[str] | io.BufferedIOBase, name: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Opens an HDF5 file that refers to no other file and whose datasets hold as much as they claim.

    Args:
        file: a path or a file object.
        name: for messages.

    Raises:
        UserError: if it is not such a file.
    """
    with library_errors(name), h5py.File(file, "r") as opened:
        check_links(name, opened)
        check_object(name, "/", opened)
        opened.visititems(lambda inner, found: check_object(name, inner, found))
        yield opened


def check_links(name: str | os.PathLike[str], file: h5py.File) -> None:
    """Raises a `UserError` for links to other files, and for soft ones, which Keras does not write either."""

    def soft(link: bytes, info: Any) -> bytes | None:  # what is raised in here is lost in HDF5
        return None if info.type == h5py.h5l.TYPE_HARD else link  # pyright: ignore[reportAttributeAccessIssue]  compiled

    if (found := file.id.links.visit(soft, info=True)) is not None:
        raise UserError(f"{name} has a link to elsewhere, {found.decode(errors='replace')!r}, which is not followed")


def check_object(name: str | os.PathLike[str], inner: str, found: h5py.Group | h5py.Dataset) -> None:
    """Raises a `UserError` for a dataset or attributes that are in another file, or larger than what is stored of them.

    Also for an object with several names: groups in a circle have no end.
    """
    if h5py.h5o.get_info(found.id).rc > 1:  # pyright: ignore[reportAttributeAccessIssue]  compiled
        raise UserError(f"{name} has several names for one object, {inner!r}: it may be damaged")
    for attribute in map(found.attrs.get_id, found.attrs if len(found.attrs) else ()):
        size = attribute.get_space().get_simple_extent_npoints() * attribute.get_type().get_size()
        if size > MAX_ATTRIBUTE:
            raise UserError(f"{name} has an attribute of {size:,} bytes in {inner!r}")
    if not isinstance(found, h5py.Dataset):
        return
    if found.external or found.is_virtual:
        raise UserError(f"{name} keeps {inner!r} in another file, which is not read: save the weights again, into one file")
    if found.dtype.kind not in NUMBERS:
        raise UserError(f"{name} holds {found.dtype} in {inner!r}; weights are numbers")
    claimed, stored = values_to_decode(found) * found.dtype.itemsize, found.id.get_storage_size()
    if claimed > (max(MAX_EXPANSION * stored, FREE_BYTES) if found.chunks else stored):
        raise UserError(
            f"{name} claims {claimed:,} bytes in {inner!r}, of which it stores {stored:,}: it may be damaged or unfinished"
        )


def values_to_decode(dataset: h5py.Dataset) -> int:
    """What has to be decoded to read a dataset: at least one chunk, which may be larger than what is in it."""
    return max(dataset.size or 0, math.prod(dataset.chunks) if dataset.chunks else 0)
