"""Finds the shards of a data set, and which split each is of."""

import glob
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from keras_resnet.errors import UserError
from keras_resnet.foreign_files import check_is_file
from keras_resnet.remote import is_remote
from keras_resnet.remote_path import remote_errors

from ..binary_files import exists, is_folder, names_in
from ..folder import SPLIT_NAMES, plain
from ..folder_listing import NOT_A_SPLIT, Unused

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
GLOB = re.compile(r"[*?\[]")
MAX_SHARDS = 1_000_000  # that a pattern may name
NUMBERED = re.compile(r"(.*)-(\d+)-of-(\d+)(\D*)")


class Shards(NamedTuple):
    """The shards of a data set. of_split: {split: the paths of its shards, sorted}. notes: what is not used, or missing."""

    of_split: dict[str, list[str]]
    notes: tuple[str, ...]


def find_shards(path: str, is_shard: Callable[[str], bool], kind: str) -> Shards:
    """Finds the shards of each split.

    Args:
        path: A folder with shards, also in folders that are named like splits; one shard; or a pattern with {000..146} or *.
        is_shard: Whether a file with a name is one.
        kind: What shards are called, for messages, such as "*.tar".

    Raises:
        UserError: There are none, or the split of one is not clear.
    """
    if is_folder(path):
        unused = Unused(Path(path.rpartition("/")[2] if is_remote(path) else path))
        found, notes = sort_by_split(shards_in(path, is_shard), unused), unused.lines()
        if not found:
            raise UserError(f"{path} has no shards ({kind}), nor have its folders train, validation and test")
    else:
        found, notes = sort_by_split({shard: split_of(os.path.basename(shard)) for shard in expand(path)}, None), ()
    for shard in itertools.chain.from_iterable(found.values()):
        if not is_remote(shard):
            check_is_file(shard)
    missing = itertools.chain.from_iterable(map(missing_shards, found.values()))
    return Shards(found, (*notes, *missing))


def shards_in(folder: str, is_shard: Callable[[str], bool]) -> dict[str, str | None]:
    """Returns {path of a shard: its split}, in a folder and in those in it that are called like splits; None for no split."""
    found: dict[str, str | None] = {}
    for name in names_in(folder):
        path = f"{folder.rstrip('/')}/{name}"
        if name.startswith("."):
            continue
        if is_shard(name) and not is_folder(path):
            found[path] = split_of(name)
        elif (split := split_of(name)) and is_folder(path):
            found |= {f"{path}/{shard}": split for shard in names_in(path) if is_shard(shard) and not shard.startswith(".")}
    return found


def sort_by_split(shards: Mapping[str, str | None], unused: Unused | None) -> dict[str, list[str]]:
    """Groups shards: those that are not called after a split are for training, unless others are called so."""
    found = {split: sorted(path for path in shards if shards[path] == split) for split in SPLIT_NAMES}
    rest = sorted(path for path in shards if shards[path] is None)
    if not found["train"]:
        found["train"] = rest
    elif unused is not None:
        for path in rest:
            unused.add(NOT_A_SPLIT, path)
    else:
        found["train"] = sorted(found["train"] + rest)
    return {split: paths for split, paths in found.items() if paths}


def split_of(name: str) -> str | None:
    """The split that a shard or folder is called after, as imagenet1k-train-0001.tar is; None if it is called after none.

    Raises:
        UserError: It is called after two.
    """
    words = {*map(plain, re.split(r"[^a-zA-Z]+", name))}
    splits = [split for split, names in SPLIT_NAMES.items() if words & {*names}]
    if len(splits) > 1:
        raise UserError(f"{name} is called after {' and '.join(splits)}; a shard is of one split")
    return splits[0] if splits else None


def expand(pattern: str) -> list[str]:
    """Returns the paths that a pattern stands for, as WebDataset has it: {000..146} counts, {a,b} is either, * anything.

    Raises:
        UserError: A path that it names is not there, or none is.
    """
    parts, count = [], 1
    for i, part in enumerate(BRACES.split(pattern)):
        values = [part]
        if i % 2 and (match := RANGE.fullmatch(part)):
            first, last = int(match[1]), int(match[2])
            if not 0 <= last - first < MAX_SHARDS:
                raise UserError(f"data_dir has {{{part}}}, which counts down or beyond {MAX_SHARDS:,}")
            values = [str(number).zfill(len(match[1])) for number in range(first, last + 1)]
        elif i % 2:
            values = part.split(",")
        parts.append(values)
        count *= len(values)
    if count > MAX_SHARDS:
        raise UserError(f"data_dir is {pattern}, which names {count:,} shards, more than {MAX_SHARDS:,}")
    paths = ["".join(values) for values in itertools.product(*parts)]
    if GLOB.search(pattern) and not exists(pattern):
        paths = sorted(itertools.chain.from_iterable(map(matching, paths)))
        if not paths:
            raise UserError(f"data_dir is {pattern}, which fits no file")
    for path in paths:
        if not exists(path):
            named = "" if path == pattern else f", of those that {pattern} names"
            raise UserError(f"data_dir is {path}{named}, which does not exist")
    return paths


def matching(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return glob.glob(pattern)
    with remote_errors(pattern):
        return tf.io.gfile.glob(pattern)


def missing_shards(shards: Sequence[str]) -> Iterator[str]:
    """Yields a line about those that are missing of shards that are called after their number, such as train-00000-of-01024."""
    numbers: dict[tuple[str, str, str], set[int]] = {}
    for path in shards:
        if match := NUMBERED.fullmatch(path):
            numbers.setdefault((match[1], match[3], match[4]), set()).add(int(match[2]))
    for (stem, total, _), found in numbers.items():
        if missing := sorted({*range(min(int(total), MAX_SHARDS))} - found):
            first = f"{stem}-{str(missing[0]).zfill(len(total))}-of-{total}"
            yield f"{len(missing)} of {int(total)} shards are missing, such as {first}; the others are used"
