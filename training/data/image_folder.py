"""A folder of images as a dataset: one folder per class, in train/, validation/ and test/ or at the top."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError, comma_join

from .encoded_images import ImageFile
from .image_filter import ImageFiles, filter_images
from .splits import Split

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
SPLIT_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}  # and what they may be called
MAX_CLASSES_NAMED = 5  # in an error

ImagesByClass = Mapping[Path, list[str]]  # folder of a class -> names of its image files


class ImageFolder:
    """A folder of images; hidden files and other suffixes than .jpg, .jpeg, .png, .bmp and .gif (any case) are ignored.

    Attributes:
        class_names: Sorted, in the order of the labels.
        splits: Those of train, validation and test that it has.
        bad_images: Names of the unreadable images.
    """

    def __init__(self, folder: str | Path | None, on_bad_image: str) -> None:
        root, self.class_names, listed = list_images(folder)
        for path, files in listed.get("train", {}).items():
            if not files:
                raise UserError(f"class {path.name!r} has no images ({comma_join(SUFFIXES)}) in {path}")
        self.splits = tuple(listed)
        filtered = filter_images({split: image_files(images, root) for split, images in listed.items()}, on_bad_image)
        self._splits, self._names, self.bad_images = filtered

    def read(self, split: str) -> Split:
        return self._splits[split]

    def names(self, split: str) -> list[str]:
        """Returns each image's path below the folder, which does not depend on what else is in there."""
        return self._names[split]


def class_names_of_folder(folder: str | Path | None) -> tuple[str, ...]:
    """Returns the class names, without reading an image."""
    return list_images(folder)[1]


def list_images(folder: str | Path | None) -> tuple[Path, tuple[str, ...], dict[str, ImagesByClass]]:
    """Returns (the folder, class names, {split: its images by class})."""
    if folder is None:
        raise UserError("dataset 'folder' needs --data_dir=FOLDER, the folder with the images")
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"data_dir is {folder}, which {problem}; it must be a folder")
    roots = split_folders(folder)
    class_names = check_class_names(folder, {split: subfolders(root) for split, root in roots.items()})
    images: dict[str, ImagesByClass] = {
        split: {root / name: image_names(root / name) for name in class_names} for split, root in roots.items()
    }
    if not any(any(files.values()) for files in images.values()):
        raise UserError(f"{folder} has no images ({comma_join(SUFFIXES)}) in its {len(class_names)} class folders")
    return folder, tuple(class_names), images


def check_class_names(folder: Path, by_split: Mapping[str, list[str]]) -> list[str]:
    """Returns the class names, which must be the same in all splits, lines of text, and two at least."""
    first, class_names = next(iter(by_split.items()))
    for split, others in by_split.items():
        if others != class_names:
            differing = sorted(set(class_names) ^ set(others))
            shown = comma_join(differing, MAX_CLASSES_NAMED)
            raise UserError(f"{folder} has different classes in {first} and {split}; only in one of them: {shown}")
    if unfit := [ascii(name) for name in class_names if not is_one_line(name)]:
        shown = comma_join(unfit, MAX_CLASSES_NAMED)
        raise UserError(f"{folder} has class folders whose names are not a line of text: {shown}; rename them")
    if len(class_names) < 2:
        raise UserError(
            f"{folder} has {len(class_names)} class folders; it must have train/CLASS/*.jpg (and test/CLASS/*.jpg) or "
            "CLASS/*.jpg, with at least two classes"
        )
    return class_names


def is_one_line(name: str) -> bool:
    """Whether a name fits into `labels.txt`; file systems also allow line breaks, and bytes that are not UTF-8."""
    return name.encode(errors="ignore").decode().splitlines() == [name]


def split_folders(folder: Path) -> dict[str, Path]:
    """Returns {split: its folder}. If neither train/ nor test/ holds folders, the classes are at the top, all for training."""
    found = {}
    for split, names in SPLIT_FOLDERS.items():
        paths = [folder / name for name in names if (folder / name).is_dir() and subfolders(folder / name)]
        if len(paths) > 1:
            raise UserError(f"{folder} has {' and '.join(path.name for path in paths)}; only one can be the {split} split")
        if paths:
            found[split] = paths[0]
    return found if "train" in found or "test" in found else {"train": folder}


def subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def image_names(folder: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and not entry.is_dir()
    )


def image_files(images: ImagesByClass, folder: Path) -> ImageFiles:
    """Lists the images of a split, class by class; their names are relative to `folder`."""
    encoded = [ImageFile(os.path.join(path, name)) for path, files in images.items() for name in files]
    names = [f"{path.relative_to(folder).as_posix()}/{name}" for path, files in images.items() for name in files]
    return ImageFiles(encoded, np.repeat(np.arange(len(images)), [len(files) for files in images.values()]), names)
