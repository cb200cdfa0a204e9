"""A folder of images as a dataset: one folder per class, in train/, validation/ and test/ or at the top."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_resnet.class_names import check_are_lines, normalized
from keras_resnet.errors import UserError, comma_join

from .folder_listing import NOT_A_SPLIT, SUFFIXES, Unused, list_images, subfolders
from .listing import Listing
from .packed_strings import PackedStrings
from .records import FileRecords, LabeledRecords

SPLIT_NAMES = {  # and what their folders are called, in any case, also as "train_set" or "Training Set"
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
MAX_CLASSES_NAMED = MAX_SUFFIXES_NAMED = 5  # in an error

Subfolders = Callable[[Path, Unused], list[str]]  # the sorted names of the folders in a folder, which an archive has as well


def list_folder(folder: str | Path) -> Listing:
    """Lists a folder of images, also in folders below those of the classes. Its notes count and name what is not used."""
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"data_dir is {folder}, which {problem}; it must be a folder")
    with os.scandir(folder):  # whose error says so if it cannot be read
        unused = Unused(folder)
    roots = split_folders(folder, unused)
    by_split = {split: subfolders(root, unused) for split, root in roots.items()}
    class_names = next(iter(by_split.values()))
    check_class_names(folder, class_names)
    folders = class_folders(folder, by_split)
    splits = {split: list_split(folder, root, folders[split], unused) for split, root in roots.items()}
    if not any(map(len, splits.values())):
        raise UserError(
            f"{folder} has no images ({comma_join(SUFFIXES, MAX_SUFFIXES_NAMED)}) in its {len(class_names)} class folders"
        )
    return Listing(tuple(class_names), splits, (*unused.lines(), *missing_classes(class_names, folders, roots, splits)))


def list_split(folder: Path, root: Path, class_folders: Sequence[str], unused: Unused) -> LabeledRecords:
    """Lists the images of a split, class by class; their names are relative to `folder`, the data set's."""
    packed, counts = [], []
    for path in map(root.joinpath, class_folders):
        names, prefix = list_images(path, unused) if path.is_dir() else [], f"{path.relative_to(folder).as_posix()}/"
        packed.append(PackedStrings.of(os.fsencode(prefix + name) for name in names))
        counts.append(len(names))
    labels = np.repeat(np.arange(len(counts)), counts)
    return LabeledRecords(FileRecords.of(folder, PackedStrings.joined(packed)), labels)


def missing_classes(
    class_names: Sequence[str],
    folders: Mapping[str, Sequence[str]],
    roots: Mapping[str, Path],
    splits: Mapping[str, LabeledRecords],
) -> Iterator[str]:
    """Raises a `UserError` for a class without images to train on; yields a line about those that another split lacks."""
    for split, listed in splits.items():
        missing = np.flatnonzero(np.bincount(listed.labels, minlength=len(class_names)) == 0).tolist()
        if split == "train" and missing:
            name = folders[split][missing[0]]
            suffixes = comma_join(SUFFIXES, MAX_SUFFIXES_NAMED)
            raise UserError(f"class {name!r} has no images ({suffixes}) in {roots[split] / name}")
        if missing:
            shown = comma_join((class_names[label] for label in missing), MAX_CLASSES_NAMED)
            yield f"the {split} split has no images of {len(missing)} of {len(class_names)} classes: {shown}"


def check_class_names(folder: Path, class_names: list[str], subfolders: Subfolders = subfolders) -> None:
    """Raises a `UserError` unless the names are lines of text, and two at least."""
    check_are_lines(class_names, f"{folder} has class folders whose names are not a line of text")
    if len(class_names) < 2:
        inside = [name for name in class_names if len(subfolders(folder / name, Unused(folder))) > 1]
        hint = f"; is --data_dir={folder / inside[0]} meant?" if inside else ""
        raise UserError(
            f"{folder} has {len(class_names)} class folders; it must have train/CLASS/*.jpg (and test/CLASS/*.jpg) or "
            f"CLASS/*.jpg, with at least two classes{hint}"
        )


def class_folders(folder: Path, by_split: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Returns {split: the name of each class's folder there}, in the order of the first split, whose names are the classes'.

    The folders of other splits may write a name in another Unicode form, as macOS does, or in another case. They may lack a
    class, but have no further ones.
    """
    first, class_names = next(iter(by_split.items()))
    for key in (normalized, lambda name: normalized(name).casefold()):
        keyed = {split: {key(name): name for name in names} for split, names in by_split.items()}
        distinct = all(len(keyed[split]) == len(names) for split, names in by_split.items())
        if distinct and all(keyed[first].keys() >= names.keys() for names in keyed.values()):
            return {split: [names.get(key(name), name) for name in class_names] for split, names in keyed.items()}
    for split, names in by_split.items():
        if clashing := clashes(names, normalized):
            raise UserError(f"{folder} has one class in several folders of its {split} split: {clashing}; merge them")
        if {*names} - {*class_names}:
            shown = comma_join(sorted({*names} ^ {*class_names}), MAX_CLASSES_NAMED)
            raise UserError(f"{folder} has different classes in {first} and {split}; only in one of them: {shown}")
    raise AssertionError


def clashes(names: list[str], key: Callable[[str], str]) -> str:
    """Names the first of `names` that are the same by `key`."""
    keys = [key(name) for name in names]
    return comma_join(ascii(name) for name, own in zip(names, keys, strict=True) if keys.count(own) > 1)


def split_folders(folder: Path, unused: Unused, subfolders: Subfolders = subfolders) -> dict[str, Path]:
    """Returns {split: its folder}. If neither train/ nor test/ holds folders, the classes are at the top, all for training."""
    nothing = Unused(folder)
    top = {name: folder / name for name in subfolders(folder, nothing)}
    found = {}
    for split, names in SPLIT_NAMES.items():
        named = sorted((name for name in top if plain(name) in names), key=lambda name: names.index(plain(name)))
        paths = [top[name] for name in named if subfolders(top[name], nothing)]
        if len(paths) > 1:
            raise UserError(f"{folder} has {' and '.join(path.name for path in paths)}; only one can be the {split} split")
        if paths:
            found[split] = innermost(paths[0], subfolders)
    if not ("train" in found or "test" in found):
        return {"train": folder}
    subfolders(folder, unused)  # for the files there
    for name, path in top.items():
        if not any(plain(name) in SPLIT_NAMES[split] for split in found):
            unused.add(NOT_A_SPLIT, path)
    return found


def plain(name: str) -> str:
    """The name of a folder as in `SPLIT_NAMES`."""
    return re.sub(r"[\W_]", "", name.casefold()).removesuffix("set")


def innermost(path: Path, subfolders: Subfolders = subfolders) -> Path:
    """The split's folder inside one of the same name, which archives often have: train/train/CLASS."""
    inside = subfolders(path, Unused(path))
    return innermost(path / inside[0], subfolders) if inside == [path.name] else path
