"""Which files in a folder, and in the folders below it, are images; nothing else in there is passed over in silence."""

import collections
import os
from collections.abc import Iterator
from pathlib import Path

from keras_resnet import images
from keras_resnet.errors import comma_join

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".pnm", ".jp2", ".j2k", ".avif",
)  # fmt: skip
KNOWN_SUFFIXES = frozenset(SUFFIXES)
SYSTEM_NAMES = ("__macosx", "@eadir", "thumbs.db", "desktop.ini", "lost+found", "$recycle.bin", "system volume information")
MAX_NAMES_SHOWN = 3  # for each reason

HIDDEN = "hidden or the system's"
NOT_CALLED_IMAGES = f"not called {comma_join(SUFFIXES, 4)}"
SPECIAL = "pipes, sockets or devices"
SEEN_ALREADY = "links to folders that are read already"
NOT_IN_A_CLASS = "not in the folder of a class"
NOT_A_SPLIT = "not train, validation or test"


class Unused:
    """The files and folders that are not used, by the reason why not."""

    def __init__(self, root: Path) -> None:
        self._root, self._paths = root, collections.defaultdict[str, set[str]](set)

    def add(self, reason: str, path: str | Path) -> None:
        self._paths[reason].add(os.path.relpath(path, self._root))

    def lines(self) -> Iterator[str]:
        """Yields a line that counts them, with the first names for each reason; none if there are none."""
        if not self._paths:
            return
        count = sum(map(len, self._paths.values()))
        reasons = "; ".join(
            f"{len(paths)} {reason} ({comma_join(sorted(paths), MAX_NAMES_SHOWN)})" for reason, paths in self._paths.items()
        )
        yield f"of the files and folders in {self._root}, {count} are not used: {reasons}"


def list_images(folder: Path, unused: Unused) -> list[str]:
    """Returns the paths below `folder` of the images there, sorted, with "/" between their parts.

    Links are followed, but each folder is read once, and none that `folder` is in.
    """
    found: list[str] = []
    seen = {os.path.realpath(path) for path in folder.absolute().parents}
    folders, links = collections.deque([""]), collections.deque[str]()
    while folders or links:
        below = (folders or links).popleft()
        here = os.path.join(folder, below)
        if (real := os.path.realpath(here)) in seen:
            unused.add(SEEN_ALREADY, here)
            continue
        seen.add(real)
        for entry in scan(here, unused):
            if is_dir(entry):
                (links if entry.is_symlink() else folders).append(f"{below}{entry.name}/")
            elif is_candidate(entry, unused):
                found.append(f"{below}{entry.name}")
    return sorted(found)


def subfolders(folder: Path, unused: Unused) -> list[str]:
    """Returns the sorted names of the folders in a folder, but for links to itself and to what it is in."""
    names, above = [], {os.path.realpath(path) for path in (folder, *folder.absolute().parents)}
    for entry in scan(folder, unused):
        if not is_dir(entry):
            unused.add(NOT_IN_A_CLASS, entry.path)
        elif entry.is_symlink() and os.path.realpath(entry.path) in above:
            unused.add(SEEN_ALREADY, entry.path)
        else:
            names.append(entry.name)
    return names


def scan(folder: str | Path, unused: Unused) -> list[os.DirEntry[str]]:
    """Returns the visible entries of a folder, by name; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        unused.add(f"folders that cannot be read: {error.strerror}", folder)
        return []
    visible = [entry for entry in ordered if not (entry.name.startswith(".") or entry.name.lower() in SYSTEM_NAMES)]
    for entry in {*ordered} - {*visible}:
        unused.add(HIDDEN, entry.path)
    return visible


def is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_candidate(entry: os.DirEntry[str], unused: Unused) -> bool:
    """Whether a file is called like an image, or begins like one and has no suffix at all. Links to nothing may be images."""
    try:
        regular = entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        regular = True
    suffix = os.path.splitext(entry.name)[1].lower()
    if not regular:
        unused.add(SPECIAL, entry.path)
    elif suffix in KNOWN_SUFFIXES or (not suffix and images.is_image(entry.path)):
        return True
    else:
        unused.add(NOT_CALLED_IMAGES, entry.path)
    return False
