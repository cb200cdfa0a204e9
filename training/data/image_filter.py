"""From encoded images to splits: skips or refuses unreadable images, and keeps small ones of one size decoded."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from keras_resnet.errors import UserError, comma_join, print_message

from ..config import BAD_IMAGES
from .encoded_images import EncodedImage
from .image_check import ImageInfo, probe_image
from .memory import available_memory
from .parallel import parallel_map
from .splits import ArraySplit, EncodedSplit, Split

MAX_IMAGES_NAMED = 3  # in the one line about unreadable images
MEMORY_FRACTION = 0.25  # of the available memory, for decoded images


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """The images of a split before any is decoded. encoded: (N,). labels: integers (N,). names: (N,), for messages."""

    encoded: Sequence[EncodedImage]
    labels: np.ndarray
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.encoded)


class FilteredImages(NamedTuple):
    """The readable images of each split, their names, and the names of all unreadable images."""

    splits: dict[str, Split]
    names: dict[str, list[str]]
    unreadable: list[str]


def filter_images(splits: Mapping[str, ImageFiles], on_bad_image: str, channels: int | None = None) -> FilteredImages:
    """Decodes every image once, and keeps the pixels if all have one size and fit into a quarter of the available memory.

    Args:
        splits: The images of each split.
        on_bad_image: "skip" leaves unreadable images out, "fail" raises.
        channels: 1 or 3; by default 1 if every image is grayscale.

    Raises:
        UserError: No image is readable, or one is unreadable and `on_bad_image` is "fail".
    """
    encoded = list(itertools.chain.from_iterable(files.encoded for files in splits.values()))
    names = itertools.chain.from_iterable(files.names for files in splits.values())
    infos = probe_with_progress(encoded)
    errors = {name: info.error for name, info in zip(names, infos, strict=True) if info.error}
    if errors:
        report_unreadable(errors, len(encoded), on_bad_image)
    readable = [info for info in infos if not info.error]
    channels = channels or (1 if all(info.grayscale for info in readable) else 3)
    decoded = all(info.pixels is not None for info in readable)
    result, start = FilteredImages({}, {}, list(errors)), 0
    for split, files in splits.items():
        infos_of_split = infos[start : start + len(files)]
        start += len(files)
        rows = [row for row, info in enumerate(infos_of_split) if not info.error]
        make = array_split if decoded and rows else encoded_split
        result.splits[split] = make(files, infos_of_split, rows, channels)
        result.names[split] = [files.names[row] for row in rows]
    return result


def probe_with_progress(encoded: Sequence[EncodedImage]) -> list[ImageInfo]:
    """Probes all images in threads, with a progress bar on a terminal."""
    infos = parallel_map(functools.partial(probe_image, keep=size_to_keep(encoded)), encoded)
    console = Console(stderr=True)
    return list(
        track(infos, "checking images", total=len(encoded), console=console, transient=True, disable=not console.is_terminal)
    )


def size_to_keep(encoded: Sequence[EncodedImage]) -> tuple[int, int] | None:
    """Returns the first readable image's size if all images, were they of this size, fit into memory decoded."""
    size = next((info.size for info in map(probe_image, encoded) if info.size), None)
    if size and len(encoded) * size[0] * size[1] * 3 <= MEMORY_FRACTION * available_memory():
        return size
    return None


def encoded_split(files: ImageFiles, infos: Sequence[ImageInfo], rows: Sequence[int], channels: int) -> EncodedSplit:
    """Makes a split of the images at `rows`, still encoded."""
    encoded = np.empty(len(rows), object)
    encoded[:] = [files.encoded[row] for row in rows]
    tf_decodable = np.array([infos[row].tf_decodable for row in rows], bool)
    return EncodedSplit(encoded, labels_at(files, rows), tf_decodable, channels)


def array_split(files: ImageFiles, infos: Sequence[ImageInfo], rows: Sequence[int], channels: int) -> ArraySplit:
    """Makes a split of the pixels of the images at `rows`, all of one size."""
    images = np.empty((len(rows), *(infos[rows[0]].size or ()), channels), np.uint8)
    for image, row in zip(images, rows, strict=True):
        image[:] = broadcastable(infos[row].pixels, channels)
    return ArraySplit(images, labels_at(files, rows))


def broadcastable(pixels: np.ndarray | None, channels: int) -> np.ndarray:
    """Returns pixels (H, W, 1 or 3) in a form that can be assigned to (H, W, channels)."""
    assert pixels is not None
    if channels == 3 or pixels.shape[-1] == channels:
        return pixels  # a grayscale image has the same values in all three channels
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]


def labels_at(files: ImageFiles, rows: Sequence[int]) -> np.ndarray:
    return np.asarray(files.labels, np.int64)[list(rows)]


def report_unreadable(errors: Mapping[str, str], count: int, on_bad_image: str) -> None:
    """Names the first unreadable images in one line: on stderr, or as an error if none may be skipped or none is left."""
    first = "; ".join(f"{name} {error}" for name, error in itertools.islice(errors.items(), MAX_IMAGES_NAMED))
    line = f"{len(errors)} of {count} images cannot be read: {first}{'; ...' if len(errors) > MAX_IMAGES_NAMED else ''}"
    if on_bad_image == "fail":
        raise UserError(f"{line}. --on_bad_image=skip leaves them out")
    if len(errors) == count:
        raise UserError(f"{line}. No image is left")
    print_message(f"{line}. They are left out")


def check_on_bad_image(value: str) -> None:
    if value not in BAD_IMAGES:
        raise UserError(f"on_bad_image is {value!r}; it must be one of {comma_join(BAD_IMAGES)}")
