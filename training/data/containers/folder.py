"""A folder of images as a dataset: one folder per class, in train/, validation/ and test/ or at the top."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_resnet.class_names import check_are_lines, normalized
from keras_resnet.errors import UserError, comma_join, print_message

from .encoded_images import ImageFile
from .image_filter import ImageFiles, filter_images
from .image_listing import NOT_A_SPLIT, SUFFIXES, Unused, list_images, subfolders
from .splits import Split

SPLIT_NAMES = {  # and what their folders are called, in any case, also as "train_set" or "Training Set"
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
MAX_CLASSES_NAMED = MAX_SUFFIXES_NAMED = 5  # in an error

Subfolders = Callable[[Path, Unused], list[str]]  # the sorted names of the folders in a folder, which an archive has as well

ImagesByClass = Mapping[Path, list[str]]  # folder of a class -> the paths of its images below it


class FolderListing(NamedTuple):
    """What a folder holds. images: {split: its images by class}, the classes in the order of `class_names`."""

    root: Path
    class_names: tuple[str, ...]
    images: dict[str, ImagesByClass]
    unused: Unused


class ImageFolder:
    """A folder of images, also in folders below those of the classes. What is not used is counted and named on stderr.

    Attributes:
        class_names: Sorted, in the order of the labels.
        splits: Those of train, validation and test that it has.
        bad_images: Names of the unreadable images.
    """

    def __init__(self, folder: str | Path | None, on_bad_image: str) -> None:
        root, self.class_names, listed, unused = list_folder(folder)
        unused.report()
        for path, files in listed.get("train", {}).items():
            if not files:
                raise UserError(f"class {path.name!r} has no images ({comma_join(SUFFIXES, MAX_SUFFIXES_NAMED)}) in {path}")
        report_missing_classes(self.class_names, listed)
        self.splits = tuple(listed)
        filtered = filter_images({split: image_files(images, root) for split, images in listed.items()}, on_bad_image)
        self._splits, self._names, self.bad_images = filtered

    def read(self, split: str) -> Split:
        return self._splits[split]

    def names(self, split: str) -> list[str]:
        """Returns each image's path below the folder, which does not depend on what else is in there."""
        return self._names[split]


def class_names_of_folder(folder: str | Path | None) -> tuple[str, ...]:
    """Returns the class names, without decoding an image."""
    return list_folder(folder).class_names


def list_folder(folder: str | Path | None) -> FolderListing:
    """Finds the splits, the classes and their images."""
    if folder is None:
        raise UserError("dataset 'folder' needs --data_dir=FOLDER, the folder with the images")
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
    images: dict[str, ImagesByClass] = {
        split: {path: list_images(path, unused) if path.is_dir() else [] for path in map(root.joinpath, folders[split])}
        for split, root in roots.items()
    }
    if not any(any(files.values()) for files in images.values()):
        raise UserError(
            f"{folder} has no images ({comma_join(SUFFIXES, MAX_SUFFIXES_NAMED)}) in its {len(class_names)} class folders"
        )
    return FolderListing(folder, tuple(class_names), images, unused)


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


def report_missing_classes(class_names: tuple[str, ...], listed: Mapping[str, ImagesByClass]) -> None:
    """Names the classes of which a split has no images, in a line on stderr for each."""
    for split, images in listed.items():
        if missing := [name for name, files in zip(class_names, images.values(), strict=True) if not files]:
            shown = comma_join(missing, MAX_CLASSES_NAMED)
            line = f"the {split} split has no images of {len(missing)} of {len(class_names)} classes: {shown}"
            print_message(line)


def image_files(images: ImagesByClass, folder: Path) -> ImageFiles:
    """Lists the images of a split, class by class; their names are relative to `folder`."""
    encoded = [ImageFile(os.path.join(path, name)) for path, files in images.items() for name in files]
    names = [f"{path.relative_to(folder).as_posix()}/{name}" for path, files in images.items() for name in files]
    return ImageFiles(encoded, np.repeat(np.arange(len(images)), [len(files) for files in images.values()]), names)
