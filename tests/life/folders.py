"""Folders of images and lists of labels as other people and programs leave them."""

import os
from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, color: tuple[int, int, int] = (200, 30, 40), size: tuple[int, int] = (8, 8), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)
    return path


def fill(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> Path:
    """`count` images in each class, all different."""
    for number, name in enumerate(classes):
        for index in range(count):
            draw(folder / name / f"{index}.png", (5 * number, index, 0))
    return folder


def special_files(folder: Path) -> list[Path]:
    """What is no file: a folder, and where there are such things a pipe and a device without an end."""
    if not hasattr(os, "mkfifo"):  # on Windows
        return [folder]
    os.mkfifo(folder / "pipe")
    return [folder, folder / "pipe", Path("/dev/zero")]


def odd_entries(folder: Path) -> None:
    """What lies in the folder of a class beside its images: hidden files, the systems' own, pipes, broken links, notes."""
    for name in (".DS_Store", "._0.png", "Thumbs.db", "desktop.ini", "notes.txt", "0.xml", "README", "raw.cr2"):
        (folder / name).write_bytes(b"II*\0 or something")
    draw(folder / "__MACOSX" / "0.png")
    draw(folder / "@eaDir" / "0.png" / "SYNOPHOTO_THUMB.jpg")
    draw(folder / ".cache" / "0.png")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop").symlink_to("loop")
    (folder / "self").symlink_to(folder)
    (folder / "up").symlink_to(folder.parent)


def nested(folder: Path) -> int:
    """Images below the folder of a class, behind links, and in all the formats; returns their number."""
    draw(folder / "2023" / "summer" / "a.jpg")
    draw(folder / "2024" / "b.jpeg")
    suffixes = (".webp", ".tif", ".TIFF", ".jfif", ".jpe", ".PNG", ".bmp", ".gif", ".ppm", ".jp2")
    for index, suffix in enumerate(suffixes):
        format = {".jfif": "JPEG", ".jpe": "JPEG", ".jp2": "JPEG2000"}.get(suffix)
        draw(folder / f"c{index}{suffix}", format=format)
    draw(folder / "no_suffix", format="PNG")
    draw(folder.parent.parent / "elsewhere" / "d.png")
    (folder / "link").symlink_to(folder.parent.parent / "elsewhere")
    (folder / "2023" / "again").symlink_to(folder / "2024")
    return 2 + len(suffixes) + 1 + 1


def colors(images: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(image[0, 0]) for image in images}


LABELS = {  # content of a file: the names in it
    b"cat\ndog\n": ("cat", "dog"),
    b"\xef\xbb\xbfcat\r\ndog\r\n": ("cat", "dog"),
    "cat\nhund mit Ä\n".encode("utf-16"): ("cat", "hund mit Ä"),
    b"cat\rdog": ("cat", "dog"),
    b"\n\n  cat \n\n dog\n\n": ("cat", "dog"),
    "tench, Tinca tinca\nNext\x85line".replace("\x85", " ").encode(): ("tench, Tinca tinca", "Next line"),
    b"0 cat\n1 dog\n": ("cat", "dog"),
    b"1: cat\n2: dog\n": ("cat", "dog"),
    b"0,cat\n1,dog\n": ("cat", "dog"),
    b"0\tcat\n1\tdog\n": ("cat", "dog"),
    b"/a/airfield 0\n/a/alley 1\n": ("/a/airfield", "/a/alley"),
    b"0\n1\n2\n": ("0", "1", "2"),
    b"1 cent\n2 cent\n": ("1 cent", "2 cent"),
    b"7 up\n1 dog\n": ("7 up", "1 dog"),
    b"route 66\nmain street\n": ("route 66", "main street"),
}
NO_LABELS = {  # content of a file: what the error says
    b"": "is empty",
    b"\n \n": "is empty",
    b"cat\nd\xf6g": "is not a text file in UTF-8",
    b'["cat", "dog"]': "looks like JSON",
    b'{"0": "cat",\n "1": "dog"}': "looks like JSON",
    b"{'cat': 0, 'dog': 1}": "looks like JSON",
    b"cat\n\x1b[2Jdog": r"not a line of text: 'd?.*x1b.2Jdog'; rename them",
    "cat\ndog".encode("utf-16-le"): "not a line of text",
    "cat\ndog\u2028two".encode(): "not a line of text",
    b"x" * 16_000_001: "has 16,000,001 bytes",
}
