"""Where the images in a large file lie, kept in the user's cache folder, so that each file is gone through once."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_resnet.files import atomic
from keras_resnet.remote import is_remote

from ..binary_files import version_of
from ..packed_strings import PackedStrings

FORMAT = 1  # of the arrays; an index of another one is made again
SETTLED = 2_000_000_000  # ns; a file written later than this ago may change again within one tick of its clock

Index = dict[str, np.ndarray]


def cached_index(path: str, kind: str, make: Callable[[str], Index]) -> Index:
    """Returns the index of a file: the one that was made when the file had this size and time of change, or a new one.

    Args:
        path: Of the file, which may be a URL.
        kind: Of the index, with all that it depends on besides the file.
        make: Makes the index. What it raises is raised.
    """
    version = version_of(path)
    stored = index_path(path, kind)
    key = np.array([FORMAT, *version], np.int64)
    if (found := read_index(stored, key)) is not None:
        return found
    index = make(path)
    if version_of(path) == version and time.time_ns() - version.time > SETTLED:
        write_index(stored, key, index)
    return index


def index_path(path: str, kind: str) -> Path:
    """Where the index of a file is kept, whatever the file's content: a changed one takes the place of the old."""
    whole = path if is_remote(path) else os.path.abspath(path)
    digest = hashlib.sha256(os.fsencode(f"{kind}\0{whole}")).hexdigest()
    return cache_folder() / f"{digest[:32]}.npz"


def cache_folder() -> Path:
    """The folder of all indexes, which may be removed at any time."""
    variable = "LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"
    base = os.environ.get(variable, "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "keras_resnet" / "index"


def read_index(stored: Path, key: np.ndarray) -> Index | None:
    """Returns a stored index with this key; None if there is no such, or it is damaged."""
    try:
        with open(stored, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if not np.array_equal(arrays["key"], key):
                return None
            return {name: arrays[name] for name in arrays.files if name != "key"}
    except Exception:  # whatever NumPy and zipfile raise for a damaged file
        return None


def write_index(stored: Path, key: np.ndarray, index: Index) -> None:
    """Stores an index if the folder can be written to."""
    with contextlib.suppress(OSError):
        stored.parent.mkdir(parents=True, exist_ok=True)
        with atomic(stored) as temporary, open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, key=key, **index)


def pack(name: str, strings: PackedStrings) -> dict[str, np.ndarray]:
    """Returns the arrays that an index keeps strings as."""
    return {name: np.frombuffer(strings.content, np.uint8), f"{name}_ends": strings.ends}


def unpack(index: Index, name: str) -> PackedStrings:
    """Returns strings that were kept by `pack`."""
    return PackedStrings(index[name].tobytes(), index[f"{name}_ends"])
