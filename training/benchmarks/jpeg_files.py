"""Photographs, in place of a data set: smooth shapes of all sizes with some noise, as large as ImageNet's files are.

Nothing here loads TensorFlow, as torchvision's process imports it too.
"""

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

COUNT, HEIGHT, WIDTH, QUALITY = 256, 375, 500, 95
FOLDERS = 8  # classes
OCTAVES, FALLOFF = (2, 4, 8, 16, 32, 64, 128, 256), 0.72  # shapes across a photograph, and how much weaker each next size is
BRIGHTNESS, CONTRAST, NOISE = 120.0, 60.0, 7.0  # grey levels


@dataclasses.dataclass(frozen=True)
class JpegFiles:
    """JPEGs in folders of a folder. paths: below `root`. mean_bytes: of a file."""

    root: Path
    paths: tuple[str, ...]
    mean_bytes: float

    @classmethod
    def of(cls, folder: str) -> Self:
        """Looks at what `write_jpeg_files` wrote."""
        files = sorted(Path(folder).glob("*/*.jpg"))
        mean_bytes = float(np.mean([file.stat().st_size for file in files]))
        return cls(Path(folder), tuple(file.relative_to(folder).as_posix() for file in files), mean_bytes)

    def __str__(self) -> str:
        kind = f"{WIDTH}x{HEIGHT} pixels in quality {QUALITY}"
        return f"{len(self.paths)} JPEGs of {kind}, {self.mean_bytes:,.0f} bytes each on average"


def write_jpeg_files(folder: str) -> None:
    """Writes the same files every time."""
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        path = Path(folder) / str(index % FOLDERS) / f"{index:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photograph(rng)).save(path, quality=QUALITY)


def photograph(rng: np.random.Generator) -> np.ndarray:
    """uint8 (HEIGHT, WIDTH, 3): noise of several sizes, mostly gray."""
    pixels = np.full((HEIGHT, WIDTH, 3), BRIGHTNESS, np.float32)
    for number, shapes in enumerate(OCTAVES):
        colors = rng.normal(size=(shapes * HEIGHT // WIDTH + 1, shapes, 3)).astype(np.float32)
        colors = 0.25 * colors + 1.3 * colors.mean(-1, keepdims=True)
        for channel in range(3):
            large = Image.fromarray(colors[..., channel]).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            pixels[..., channel] += CONTRAST * FALLOFF**number * np.asarray(large)
    pixels += rng.normal(scale=NOISE, size=(HEIGHT, WIDTH, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def seconds_after_first(batches: Iterable[object]) -> float:
    """Goes through batches; returns the seconds from the first to the last. A run has its beginning once, not every second."""
    iterator = iter(batches)
    next(iterator)
    begin = time.perf_counter()
    for _ in iterator:
        pass
    return time.perf_counter() - begin
