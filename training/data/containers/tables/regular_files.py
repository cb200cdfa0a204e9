"""Which of many paths are regular files: whole folders are listed, which takes less than asking for each file."""

import array
import collections
import errno
import os
import stat

import numpy as np

from keras_resnet.remote import is_remote

from ..binary_files import names_in
from ..packed_strings import PackedStrings

FILE, MISSING, NOT_A_FILE = range(3)
FEW = 4  # files in a folder for which it is not listed
MISSING_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)


def file_states(root: str, paths: PackedStrings) -> np.ndarray:
    """Returns FILE, MISSING or NOT_A_FILE for each path below `root`, which ends in "/" or is empty: uint8 (N,).

    What cannot be reached is missing. On a remote file system, everything in a folder's listing is a file.

    Raises:
        OSError: That cannot be found out, such as on a disk that is gone.
    """
    states = np.full(len(paths), MISSING, np.uint8)
    by_folder: dict[bytes, array.array[int]] = collections.defaultdict(lambda: array.array("q"))
    for row in range(len(paths)):
        path = paths[row]
        by_folder[path[: path.rfind(b"/") + 1]].append(row)
    while by_folder:
        below, rows = by_folder.popitem()
        folder = os.fsencode(root) + below
        remote = is_remote(os.fsdecode(folder))
        names = remote_names(folder) if remote else local_names(folder) if len(rows) > FEW else frozenset[bytes]()
        for row in rows:
            path = paths[row]
            if path[len(below) :] in names:
                states[row] = FILE
            elif not remote:  # also where the file system finds a name that is written in another case
                states[row] = state(os.fsencode(root) + path)
    return states


def local_names(folder: bytes) -> "frozenset[bytes] | set[bytes]":
    """Returns the names of the regular files in a folder; none if it cannot be listed."""
    try:
        with os.scandir(folder or b".") as entries:
            return {entry.name for entry in entries if is_file(entry)}
    except (OSError, ValueError):
        return frozenset()


def remote_names(folder: bytes) -> "set[bytes]":
    """Returns the names of what is in a folder; none if there is no such folder."""
    try:
        return {*map(os.fsencode, names_in(os.fsdecode(folder)))}
    except FileNotFoundError:
        return set()


def is_file(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def state(path: bytes) -> int:
    try:
        mode = os.stat(path).st_mode
    except ValueError:  # a null character
        return MISSING
    except OSError as error:
        if error.errno in MISSING_ERRORS:
            return MISSING
        raise
    return FILE if stat.S_ISREG(mode) else NOT_A_FILE
