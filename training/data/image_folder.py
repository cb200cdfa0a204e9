"""A folder of pictures as a data set: a folder for each class, in train/, validation/ and test/ or at the top."""

import os
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError, comma_join

from .image_filter import ImageFiles, filter_images

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
PARTS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}  # and what their folders may be called
NAMED = 5  # classes, in an error


class ImageFolder:
    """`labels` (class names, sorted) and `parts`, what there is of train, validation and test.

    Hidden files and those that are not called .jpg, .jpeg, .png, .bmp or .gif are passed over, in whatever case.
    """

    def __init__(self, folder, on_bad_image):
        self.labels, found = listing(folder)
        for path, files in found.get("train", {}).items():
            if not files:
                raise UserError(f"class {path.name!r} has no pictures ({comma_join(SUFFIXES)}) in {path}")
        batches = {part: batch(files, folder) for part, files in found.items()}
        self.parts = tuple(batches)
        self._sources, self._names, self.bad_images = filter_images(batches, on_bad_image)

    def read(self, part):
        return self._sources[part]

    def names(self, part):
        """What tells the pictures apart, whatever else is in the folder."""
        return self._names[part]


def labels_of_folder(folder):
    """The class names, without a look into the pictures."""
    return listing(folder)[0]


def listing(folder):
    """(class names, {part: {folder of a class: names of its pictures}})"""
    if folder is None:
        raise UserError("dataset 'folder' needs --data_dir=FOLDER, the folder with the pictures")
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"data_dir is {folder}, which is {'a file' if folder.exists() else 'not there'}; it is a folder")
    roots = part_folders(folder)
    classes = {part: subfolders(root) for part, root in roots.items()}
    labels = next(iter(classes.values()))
    for part, others in classes.items():
        if others != labels:
            differing = sorted(set(labels) ^ set(others))
            shown = f"{comma_join(differing[:NAMED])}{', ...' if len(differing) > NAMED else ''}"
            raise UserError(f"{folder} has other classes in {next(iter(classes))} than in {part}; in one of them only: {shown}")
    if unfit := [ascii(label) for label in labels if not is_one_line(label)]:
        raise UserError(f"{folder} has class folders whose names are no line of text: {comma_join(unfit[:NAMED])}; rename them")
    if len(labels) < 2:
        raise UserError(
            f"{folder} has {len(labels)} class folders; it is to have train/CLASS/*.jpg (and test/CLASS/*.jpg) or CLASS/*.jpg "
            "with two classes or more"
        )
    files = {part: {root / label: pictures(root / label) for label in labels} for part, root in roots.items()}
    if not any(any(names.values()) for names in files.values()):
        raise UserError(f"{folder} has no pictures ({comma_join(SUFFIXES)}) in its {len(labels)} class folders")
    return tuple(labels), files


def is_one_line(name):
    """Whether a name can stand in `labels.txt`; a file system takes line breaks, and bytes that are no UTF-8, too."""
    return name.encode(errors="ignore").decode().splitlines() == [name]


def part_folders(folder):
    """{part: its folder}. Where neither train/ nor test/ holds folders, the classes are at the top, and all is training."""
    found = {}
    for part, names in PARTS.items():
        there = [folder / name for name in names if (folder / name).is_dir() and subfolders(folder / name)]
        if len(there) > 1:
            raise UserError(f"{folder} has {' and '.join(path.name for path in there)}; only one can be the {part} part")
        if there:
            found[part] = there[0]
    return found if "train" in found or "test" in found else {"train": folder}


def subfolders(folder):
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def pictures(folder):
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and not entry.is_dir()
    )


def batch(classes, folder):
    """classes: {folder of a class: names of its pictures}."""
    encoded = [os.path.join(path, name) for path, names in classes.items() for name in names]
    names = [f"{path.relative_to(folder).as_posix()}/{name}" for path, names in classes.items() for name in names]
    return ImageFiles(encoded, np.repeat(np.arange(len(classes)), [len(names) for names in classes.values()]), names)
