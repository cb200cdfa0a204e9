"""From encoded pictures to a split: the bad ones named and left out or refused, small ones of one size decoded for good."""

import dataclasses
import functools
import itertools
import sys

import numpy as np
from rich.console import Console
from rich.progress import track

from keras_resnet.errors import UserError, comma_join

from ..config import BAD_IMAGES
from .image_check import probe_image
from .memory import available_memory
from .parallel import parallel_map
from .splits import ArraySplit, EncodedSplit

NAMED = 3  # bad pictures, in the one line about them
SHARE = 0.25  # of the available memory, for decoded pictures


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Pictures that belong together, before anybody has looked into them. encoded: paths or `TFRecordExample`s. names: for messages."""

    encoded: list
    labels: np.ndarray
    names: list

    def __len__(self):
        return len(self.encoded)


def filter_images(parts, on_bad_image, channels=None):
    """{part: Batch} -> ({part: Split or Pictures}, {part: names}, names of the bad ones).

    Every picture is decoded once. If all have one size and fit into a quarter of the available memory, they stay decoded.
    channels: 1 or 3; by default 1 where every picture is grey.
    """
    encoded = list(itertools.chain.from_iterable(part.encoded for part in parts.values()))
    names = list(itertools.chain.from_iterable(part.names for part in parts.values()))
    findings = parallel_map(functools.partial(probe_image, keep=size_to_keep(encoded)), encoded)
    console = Console(stderr=True)
    shown = {"total": len(encoded), "console": console, "transient": True, "disable": not console.is_terminal}
    findings = list(track(findings, "looking into the pictures", **shown))
    bad = {name: finding.error for name, finding in zip(names, findings, strict=True) if finding.error}
    if bad:
        report(bad, len(encoded), on_bad_image)
    good = [finding for finding in findings if not finding.error]
    channels = channels or (1 if all(finding.grey for finding in good) else 3)
    alike = all(finding.pixels is not None for finding in good)
    sources, kept, start = {}, {}, 0
    for part, batch in parts.items():
        found = findings[start : start + len(batch)]
        start += len(batch)
        rows = [row for row, finding in enumerate(found) if not finding.error]
        sources[part] = source_of(batch, found, rows, channels, alike)
        kept[part] = [batch.names[row] for row in rows]
    return sources, kept, list(bad)


def source_of(batch, findings, rows, channels, alike):
    """The pictures `rows` of a batch: a `ArraySplit` if they are alike, else `EncodedSplit`."""
    labels = np.asarray(batch.labels, np.int64)[rows]
    if not alike or not rows:
        encoded = np.empty(len(batch), object)
        encoded[:] = batch.encoded
        return EncodedSplit(encoded[rows], labels, np.array([findings[row].tf_decodable for row in rows], bool), channels)
    images = np.empty((len(rows), *findings[rows[0]].size, channels), np.uint8)
    for image, row in zip(images, rows, strict=True):
        image[:] = in_channels(findings[row].pixels, channels)
    return ArraySplit(images, labels)


def in_channels(pixels, channels):
    """(H, W, 1 or 3) -> what fits into (H, W, channels)."""
    if pixels.shape[-1] == channels or channels == 3:
        return pixels  # grey is the same in all three
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]


def size_to_keep(encoded):
    """The size of the first good picture, if all of them, were they like it, fitted into memory decoded."""
    first = next((finding for finding in map(probe_image, encoded) if not finding.error), None)
    if first and len(encoded) * first.size[0] * first.size[1] * 3 <= SHARE * available_memory():
        return first.size
    return None


def report(bad, count, on_bad_image):
    """Names the first bad pictures in one line: on stderr, or, where none may be skipped or none is left, as an error."""
    first = "; ".join(f"{name} {error}" for name, error in itertools.islice(bad.items(), NAMED))
    line = f"{len(bad)} of {count} images cannot be read: {first}{'; ...' if len(bad) > NAMED else ''}"
    if on_bad_image == "fail":
        raise UserError(f"{line}. --on_bad_image=skip leaves them out")
    if len(bad) == count:
        raise UserError(f"{line}. There is no other")
    print(f"{line}. They are left out", file=sys.stderr)


def check_on_bad_image(value):
    if value not in BAD_IMAGES:
        raise UserError(f"on_bad_image is {value!r}; it is one of {comma_join(BAD_IMAGES)}")
