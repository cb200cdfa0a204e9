"""A folder of as many images as ImageNet has, on little disk: hard links to some thousand files."""

import os
import shutil
from pathlib import Path

from .jpeg_files import JpegFiles, write_jpeg_files

IMAGES, ORIGINALS = "images", "originals"  # folders
CLASSES = 1000
COPIES = 12  # of each file: a file system may allow no more than some ten thousand links to one
VALIDATION = 5  # images of each class


def write_linked_folder(folder: str, count: int) -> None:
    """Writes `images/train/CLASS/*.JPEG` and `images/val/CLASS/*.JPEG`; `count` is that of the training images."""
    originals = Path(folder) / ORIGINALS
    originals.mkdir()
    write_jpeg_files(str(originals))
    files = []
    for copy in range(COPIES):
        for path in JpegFiles.of(str(originals)).paths:
            files.append(originals / f"{copy}-{path.replace('/', '-')}")
            shutil.copyfile(originals / path, files[-1])
    root, made = Path(folder) / IMAGES, 0
    for label in range(CLASSES):
        share = count // CLASSES + (label < count % CLASSES)
        for split, images in (("train", share), ("val", VALIDATION)):
            inside = root / split / f"n{label:08}"
            inside.mkdir(parents=True)
            for number in range(images):
                link(files[made % len(files)], inside / f"{inside.name}_{number}.JPEG")
                made += 1


def link(source: Path, target: Path) -> None:
    """Links or, where the file system has no links, copies."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def describe_folder(folder: str, count: int) -> str:
    """Returns what `write_linked_folder` wrote, in a line."""
    mean = JpegFiles.of(str(Path(folder) / ORIGINALS)).mean_bytes
    return f"{count:,} JPEGs in {CLASSES:,} classes, links to some thousand files of {mean:,.0f} bytes on average"
