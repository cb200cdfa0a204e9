"""From records to splits: looks at the images of a small dataset before training, and at a sample of those of a large one."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from keras_resnet.errors import UserError, print_message

from .containers.records import LabeledRecords, Records
from .decoding.bad_images import BadImages
from .decoding.image_check import ImageInfo, probe_image
from .memory import available_memory
from .parallel import parallel_map
from .splits import ArraySplit, EncodedSplit, Split

CHECKED_BYTES = 2**28  # encoded; of a dataset with more, images are checked while they are trained on
SAMPLE = 256  # images of such a dataset that are decoded before training
SMALL = 128  # pixels, the longest side of images that are trained on in their own size if all of the sample have it
MAX_IMAGES_NAMED = 3  # in the one line about unreadable images
MEMORY_FRACTION = 0.25  # of the available memory, for decoded images


@dataclasses.dataclass(frozen=True)
class ReadSplit:
    """A split, and the records of its images: of all but those that are known to be unreadable."""

    split: Split
    records: Records


def read_splits(
    listed: Mapping[str, LabeledRecords], bad_images: BadImages, channels: int | None = None
) -> dict[str, ReadSplit]:
    """Makes splits of the images of a dataset.

    Of a dataset of up to `CHECKED_BYTES` every image is decoded once: unreadable ones are left out, and the pixels are kept if
    all have one size and fit into a quarter of the available memory. Which images of a larger dataset are unreadable turns out
    when they are used; only a sample of them is decoded now, evenly spaced.

    Args:
        listed: The images of each split.
        bad_images: Takes note of unreadable images.
        channels: 1 or 3; by default 1 if every image that is decoded here is grayscale.

    Raises:
        UserError: No image is readable, or one is unreadable and the policy is "fail".
    """
    total = 0
    for split in listed.values():
        total += split.records.total_bytes(CHECKED_BYTES - total)
        if total > CHECKED_BYTES:
            return check_sample(listed, bad_images, channels)
    return check_all(listed, bad_images, channels)


def check_all(listed: Mapping[str, LabeledRecords], bad_images: BadImages, channels: int | None) -> dict[str, ReadSplit]:
    """Decodes every image, and leaves unreadable ones out."""
    images = [(split.records, index) for split in listed.values() for index in range(len(split))]
    infos = probe_with_progress(images, size_to_keep(images))
    report_unreadable(images, infos, bad_images)
    readable = [info for info in infos if not info.error]
    channels = channels or (1 if all(info.grayscale for info in readable) else 3)
    decoded = all(info.pixels is not None for info in readable)
    splits, remaining = {}, iter(infos)
    for name, split in listed.items():
        infos_of_split = [*itertools.islice(remaining, len(split))]
        rows = np.array([row for row, info in enumerate(infos_of_split) if not info.error], int)
        records, labels = split.records.take(rows), split.labels[rows]
        if decoded and len(rows):
            pixels = stacked([infos_of_split[row] for row in rows], channels)
            splits[name] = ReadSplit(ArraySplit(pixels, labels), records)
        else:
            splits[name] = ReadSplit(EncodedSplit(records, labels, channels, bad_images), records)
    return splits


def check_sample(listed: Mapping[str, LabeledRecords], bad_images: BadImages, channels: int | None) -> dict[str, ReadSplit]:
    """Decodes evenly spaced images, to see whether they have colors and one size."""
    images = [
        (split.records, int(row))
        for split in listed.values()
        for row in np.unique(np.linspace(0, len(split) - 1, min(SAMPLE, len(split))).astype(int))
    ]
    size = size_to_keep(images)
    infos = probe_with_progress(images, size if size and max(size) <= SMALL else None)
    if bad_images.policy == "fail" or all(info.error for info in infos):
        report_unreadable(images, infos, bad_images)
    readable = [info for info in infos if not info.error]
    channels = channels or (1 if all(info.grayscale for info in readable) else 3)
    alike = all(info.pixels is not None for info in readable)
    sample = stacked(readable, channels) if alike else None
    return {
        name: ReadSplit(EncodedSplit(split.records, split.labels, channels, bad_images, sample), split.records)
        for name, split in listed.items()
    }


def probe_with_progress(images: Sequence[tuple[Records, int]], keep: tuple[int, int] | None) -> list[ImageInfo]:
    """Probes images in threads, with a progress bar on a terminal."""
    infos = parallel_map(lambda image: probe_image(*image, keep=keep), images)
    console = Console(stderr=True)
    return list(
        track(infos, "checking images", total=len(images), console=console, transient=True, disable=not console.is_terminal)
    )


def size_to_keep(images: Sequence[tuple[Records, int]]) -> tuple[int, int] | None:
    """Returns the first readable image's size if all images, were they of this size, fit into memory decoded."""
    size = next((info.size for info in (probe_image(*image) for image in images) if info.size), None)
    if size and len(images) * size[0] * size[1] * 3 <= MEMORY_FRACTION * available_memory():
        return size
    return None


def stacked(infos: Sequence[ImageInfo], channels: int) -> np.ndarray:
    """Returns the pixels of images of one size, uint8 (N, H, W, `channels`)."""
    images = np.empty((len(infos), *(infos[0].size or ()), channels), np.uint8)
    for image, info in zip(images, infos, strict=True):
        image[:] = broadcastable(info.pixels, channels)
    return images


def broadcastable(pixels: np.ndarray | None, channels: int) -> np.ndarray:
    """Returns pixels (H, W, 1 or 3) in a form that can be assigned to (H, W, channels)."""
    assert pixels is not None
    if channels == 3 or pixels.shape[-1] == channels:
        return pixels  # a grayscale image has the same values in all three channels
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]


def report_unreadable(images: Sequence[tuple[Records, int]], infos: Sequence[ImageInfo], bad_images: BadImages) -> None:
    """Names the first unreadable images in one line: on stderr, or as an error if none may be skipped or none is left."""
    unreadable = [(*image, info.error) for image, info in zip(images, infos, strict=True) if info.error]
    if not unreadable:
        return
    first = "; ".join(f"{records.location(index)} {error}" for records, index, error in unreadable[:MAX_IMAGES_NAMED])
    rest = "; ..." if len(unreadable) > MAX_IMAGES_NAMED else ""
    line = f"{len(unreadable)} of {len(images)} images cannot be read: {first}{rest}"
    if bad_images.policy == "fail":
        raise UserError(f"{line}. --on_bad_image=skip leaves them out")
    if len(unreadable) == len(images):
        raise UserError(f"{line}. No image is left")
    print_message(f"{line}. They are left out")
    for records, index, _ in unreadable:
        bad_images.note(records.name(index), records.location(index))
