"""Which parquet files in a folder belong to which split, as their names and those of their folders say."""

import collections
import os
import re
from collections.abc import Iterator, Sequence

from keras_resnet.errors import UserError, comma_join
from keras_resnet.foreign_files import special_kind
from keras_resnet.remote import is_remote

from ..binary_files import exists, is_folder, names_in
from ..folder import SPLIT_NAMES, plain

SUFFIX = ".parquet"
SHARD = re.compile(r"(?P<split>.*?)[\W_]*(?P<number>\d+)-of-(?P<count>\d+)(-[0-9a-f]+)?")  # a name without its suffix
MAX_FILES_NAMED = 3  # in a message


def files_by_split(root: str, notes: list[str]) -> dict[str, list[str]]:
    """Returns {split: its files}, sorted. All are for training if none says what it is for.

    Args:
        root: A folder or a file.
        notes: Gets lines about files that are missing or not used.

    Raises:
        UserError: There are no such files, or two of them are the same shard.
    """
    if not exists(root):
        raise UserError(f"data_dir is {root}, which does not exist; it must be a folder with parquet files, or one of them")
    if not is_folder(root):
        check_regular(root)
        return {split_of(os.path.basename(root)) or "train": [root]}
    files, found = list(parquet_files(root)), collections.defaultdict[str, list[str]](list)
    if not files:
        arrow = any(name.endswith(".arrow") for _, _, names in os.walk(root) for name in names)
        hint = ", but .arrow files; `Dataset.to_parquet` of Hugging Face's datasets writes parquet" if arrow else ""
        raise UserError(f"data_dir is {root}, which has no {SUFFIX} files in it{hint}")
    for path in files:
        found[split_of(os.path.relpath(path, root))].append(path)
    if [*found] == [""]:
        found["train"] = found[""]
    elif others := found[""]:
        shown = comma_join((os.path.relpath(path, root) for path in others), MAX_FILES_NAMED)
        called = comma_join(f"{split}*" for split in SPLIT_NAMES)
        notes.append(f"of the {len(files)} parquet files in {root}, {len(others)} are not used: not called {called} ({shown})")
    splits = {split: found[split] for split in SPLIT_NAMES if found[split]}
    for split, paths in splits.items():
        notes += missing_shards(root, split, paths)
    return splits


def parquet_files(folder: str) -> Iterator[str]:
    """Yields the visible parquet files in a folder and below it, by name; each file and folder once, whatever links to it."""
    seen = set()
    folders = [folder]
    while folders:
        here = folders.pop()
        if is_seen(here, seen):
            continue
        below = []
        for name in names_in(here):
            path = os.path.join(here, name)
            if name.startswith("."):
                continue
            if is_folder(path):
                below.append(path)
            elif name.lower().endswith(SUFFIX) and not is_seen(path, seen):
                check_regular(path)
                yield path
        folders += reversed(below)


def is_seen(path: str, seen: set[str]) -> bool:
    """Whether a file or folder has been here before, which it has from now on."""
    real = path if is_remote(path) else os.path.realpath(path)
    there = real in seen
    seen.add(real)
    return there


def check_regular(path: str) -> None:
    if not is_remote(path) and (found := special_kind(path)):
        raise UserError(f"{path} is {found}; it must be a parquet file")


def split_of(path: str) -> str:
    """Returns the split that a file is for, by its own name or that of a folder; "" if neither says so."""
    *folders, name = os.path.splitext(path)[0].split("/")
    shard = SHARD.fullmatch(name)
    for part in (shard["split"] if shard else re.sub(r"[\W\d_]+$", "", name), *reversed(folders)):
        for split, names in SPLIT_NAMES.items():
            if plain(part) in names:
                return split
    return ""


def missing_shards(root: str, split: str, paths: Sequence[str]) -> Iterator[str]:
    """Yields a line if shards are missing.

    Raises:
        UserError: One is there twice, as where a folder has several data sets, or several versions of one.
    """
    shards: dict[int, str] = {}
    counts = set()
    for path in paths:
        if match := SHARD.fullmatch(os.path.splitext(os.path.basename(path))[0]):
            number = int(match["number"])
            if number in shards:
                two = " and ".join(os.path.relpath(shard, root) for shard in (shards[number], path))
                raise UserError(
                    f"{root} has two files for shard {number} of its {split} split, {two}; remove one, or name its folder"
                )
            shards[number] = path
            counts.add(int(match["count"]))
    missing = max(counts, default=0) - len(shards)
    if missing > 0:
        first = next(number for number in range(len(shards) + 1) if number not in shards)
        yield f"{root} has {len(shards)} of the {max(counts)} shards of its {split} split; {first} is missing"
