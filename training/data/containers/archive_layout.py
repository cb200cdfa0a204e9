"""Splits and classes in an archive of a folder, by the names of its members and by the rules for folders."""

import dataclasses
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError

from .folder import SPLIT_NAMES, check_class_names, class_folders, plain, split_folders
from .folder_listing import HIDDEN, KNOWN_SUFFIXES, NOT_CALLED_IMAGES, NOT_IN_A_CLASS, SYSTEM_NAMES, Unused
from .packed_strings import PackedStrings

OUTSIDE = "whose names lead out of the archive"
REPLACED = "replaced by a later member of the same name"
ARCHIVES = "archives inside the archive"
ARCHIVE_SUFFIXES = frozenset((".tar", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"))


@dataclasses.dataclass(frozen=True)
class Layout:
    """What is where in an archive.

    Attributes:
        class_names: Sorted, in the order of the labels.
        roots: {split: where its class folders are}, below the path of the archive.
        folders: {split: the names of its class folders}, in the order of the labels.
        rows: {split: int64 (N,), the members that are images}.
        labels: {split: int64 (N,)}.
        top: The name of the folder in which everything lies, with a "/"; "" if there is none.
    """

    class_names: list[str]
    roots: dict[str, Path]
    folders: dict[str, list[str]]
    rows: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    top: str


class FolderTree:
    """The folders of an archive, without hidden ones. Paths in it have neither "." nor a "/" at their ends."""

    def __init__(self, root: Path, unused: Unused) -> None:
        self.root = root  # the archive
        self.paths: list[str] = []
        self._unused = unused
        self._numbers: dict[str, int] = {}  # of a folder as the archive writes it, which may begin with "./" or "/"
        self._children: dict[str, set[str]] = {"": set()}

    def number(self, written: str) -> int:
        """Returns a folder's position in `paths`; -1 for what is hidden."""
        if (number := self._numbers.get(written)) is None:
            parts = [part for part in written.split("/") if part not in ("", ".")]
            path = "/".join(parts)
            hidden = next((i for i, part in enumerate(parts) if is_hidden(part)), None)
            if hidden is not None:
                number = -1
                outside = parts[hidden] == ".."
                self._unused.add(OUTSIDE if outside else HIDDEN, self.root / ("/".join(parts[: hidden + 1])))
            elif path == written:
                number = len(self.paths)
                self.paths.append(path)
                for depth, part in enumerate(parts):
                    self._children.setdefault("/".join(parts[:depth]), set()).add(part)
            else:
                number = self.number(path)
            self._numbers[written] = number
        return number

    def children(self, path: str) -> list[str]:
        return sorted(self._children.get(path, ()))

    def subfolders(self, folder: Path, unused: Unused) -> list[str]:
        """As of a folder on a disk: see `folder_listing`."""
        return self.children(self.path(folder))

    def path(self, folder: Path) -> str:
        """The path of a folder in the archive; "" for the archive itself."""
        return "/".join(folder.relative_to(self.root).parts)

    def top(self) -> str:
        """Returns the path of the folder in which all others lie, unless it is that of a split."""
        path = ""
        while len(inside := self.children(path)) == 1:
            below = f"{path}/{inside[0]}".lstrip("/")
            if any(plain(inside[0]) in names for names in SPLIT_NAMES.values()) or not self.children(below):
                break
            path = below
        return path


def lay_out(
    where: Path,
    names: PackedStrings,
    is_folder: np.ndarray,
    is_file: np.ndarray,
    is_image: Callable[[int], bool],
    unused: Unused,
) -> Layout:
    """Finds the images of each class and split.

    Args:
        where: The archive.
        names: Those of the members.
        is_folder, is_file: bool (N,), which members are; what is neither is not used, and has been said.
        is_image: Whether a file without a suffix, which is given by its index, begins like an image.
        unused: Is told what is not used.

    Raises:
        UserError: There are no two classes, or not the same in all splits.
    """
    if not len(names):
        raise UserError(f"{where} is empty: it must have CLASS/*.jpg or train/CLASS/*.jpg in it")
    tree = FolderTree(where, unused)
    folders = folders_of(tree, names, is_folder, is_file, unused)
    top = where / tree.top()
    roots = split_folders(top, unused, tree.subfolders)
    by_split = {split: tree.subfolders(root, unused) for split, root in roots.items()}
    class_names = next(iter(by_split.values()))
    if len(class_names) < 2:
        check_has_no_archives(where, names, is_file)
    check_class_names(top, class_names, tree.subfolders)
    in_split = class_folders(top, by_split)

    split_of, label_of, above = places_of_folders(tree, roots, in_split)
    for row in np.flatnonzero(above[folders] & (split_of[folders] < 0)).tolist():
        unused.add(NOT_IN_A_CLASS, where / tree.paths[folders[row]] / last_part(names[row]))
    used = np.zeros(len(folders), bool)
    for row in map(int, np.flatnonzero(split_of[folders] >= 0)):
        if reason := reason_against(last_part(names[row]), row, is_image):
            unused.add(reason, where / tree.paths[folders[row]] / last_part(names[row]))
        used[row] = not reason
    if not used.any():
        check_has_no_archives(where, names, is_file)
    rows = {split: np.flatnonzero(used & (split_of[folders] == index)) for index, split in enumerate(roots)}
    labels = {split: label_of[folders[found]] for split, found in rows.items()}
    return Layout(class_names, roots, in_split, rows, labels, f"{tree.path(top)}/".lstrip("/"))


def places_of_folders(
    tree: FolderTree, roots: Mapping[str, Path], in_split: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds what each folder of the tree is. The last of each array stands for the folder of files that are in none.

    Args:
        tree: The folders.
        roots: {split: where its class folders are}.
        in_split: {split: their names}, in the order of the labels.

    Returns:
        Which of the splits it is of, and the label of its class, -1 for none; and whether it is above the classes.
    """
    split_of, label_of = np.full((2, len(tree.paths) + 1), -1)
    above = np.zeros(len(tree.paths) + 1, bool)
    for index, (split, root) in enumerate(roots.items()):
        labels = {name: label for label, name in enumerate(in_split[split])}
        prefix = f"{tree.path(root)}/".lstrip("/")
        for number, path in enumerate(tree.paths):
            if path.startswith(prefix) and (label := labels.get(path[len(prefix) :].partition("/")[0])) is not None:
                split_of[number], label_of[number] = index, label
            above[number] |= prefix.startswith(f"{path}/".lstrip("/"))
    return split_of, label_of, above


def reason_against(name: str, row: int, is_image: Callable[[int], bool]) -> str:
    """Why a file in the folder of a class is not used; "" for an image."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in KNOWN_SUFFIXES or (not suffix and is_image(row)):
        return ""
    return ARCHIVES if suffix in ARCHIVE_SUFFIXES else NOT_CALLED_IMAGES


def folders_of(
    tree: FolderTree, names: PackedStrings, is_folder: np.ndarray, is_file: np.ndarray, unused: Unused
) -> np.ndarray:
    """Returns int32 (N,), the folder of each file in `tree.paths`; -1 for what is no file, hidden, or replaced later."""
    numbers, hashes = array("i"), array("q")
    for row, (folder, file) in enumerate(zip(is_folder.tobytes(), is_file.tobytes(), strict=True)):
        path, _, name = decode(names[row]).rpartition("/")
        number = tree.number(f"{path}/{name}".rstrip("/") if folder else path)
        if number >= 0 and file and is_hidden(name):
            unused.add(HIDDEN, tree.root / tree.paths[number] / name)
            number = -1
        numbers.append(number if file else -1)
        hashes.append(hash((number, name)))
    folders = np.array(numbers)
    files = np.flatnonzero(folders >= 0)
    order = files[np.argsort(np.array(hashes)[files], kind="stable")]  # those of one name stand together, the last one last
    alike = np.flatnonzero(np.diff(np.array(hashes)[order]) == 0)
    for row, following in zip(order[alike].tolist(), order[alike + 1].tolist(), strict=True):
        if last_part(names[row]) == last_part(names[following]):
            unused.add(REPLACED, tree.root / tree.paths[folders[row]] / last_part(names[row]))
            folders[row] = -1
    return folders


def check_has_no_archives(where: Path, names: PackedStrings, is_file: np.ndarray) -> None:
    """Raises a `UserError` for an archive of archives, such as that of ImageNet's training images."""
    for row in np.flatnonzero(is_file).tolist():
        if os.path.splitext(name := decode(names[row]))[1].lower() in ARCHIVE_SUFFIXES:
            raise UserError(f"{where} has no images of two classes, but archives, such as {name}: unpack it and them first")


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def last_part(name: bytes) -> str:
    return decode(name).rpartition("/")[2]


def decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
