"""From the indexes of shards to a listing: classes of all labels, and the images of each split in one sequence."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from keras_resnet.errors import UserError, cut_middle

from ..indexes.shard_index import Index, pack, unpack
from ..labels import Classes, is_labeled, no_labels
from ..listing import Listing, check_class_names, in_order
from ..packed_strings import PackedStrings
from ..records import RangeRecords
from .files import Shards

FEWEST_CAPTIONS = 50  # so many different labels, for less than twice as many images, are not the names of classes


class ShardImages(NamedTuple):
    """The images of a shard, in its order.

    Attributes:
        names: Of the images, distinct.
        offsets, lengths: int64 (N,), of their bytes; a length of -1 for one that is missing.
        labels: The distinct labels, as text; "-1" stands for none.
        label_of: int32 (N,), which of them each image has.
    """

    names: PackedStrings
    offsets: np.ndarray
    lengths: np.ndarray
    labels: PackedStrings
    label_of: np.ndarray

    def arrays(self) -> Index:
        """The arrays that a stored index has of them."""
        numbers = {"offsets": self.offsets, "lengths": self.lengths, "label_of": self.label_of}
        return pack("names", self.names) | pack("labels", self.labels) | numbers

    @classmethod
    def of(cls, index: Index) -> "ShardImages":
        """The images in a stored index."""
        return cls(unpack(index, "names"), index["offsets"], index["lengths"], unpack(index, "labels"), index["label_of"])


def with_progress(shards: Sequence[str]) -> Iterator[str]:
    """Yields the paths, with a progress bar on a terminal."""
    console = Console(stderr=True)
    hidden = len(shards) < 2 or not console.is_terminal
    yield from track(shards, "indexing shards", console=console, transient=True, disable=hidden)


def list_shards(
    where: str,
    shards: Shards,
    images_of: Callable[[str], ShardImages],
    classes: Callable[[set[str], Callable[[str], str]], Classes],
) -> Listing:
    """Lists the images in all shards.

    Args:
        where: The data set, for messages.
        shards: The shards of each split.
        images_of: Returns the images of a shard.
        classes: Makes classes of the distinct labels; its second argument returns where a label first stands.

    Raises:
        UserError: There are no images, no two classes, or images without labels.
    """
    images = {path: images_of(path) for path in with_progress([path for paths in shards.of_split.values() for path in paths])}
    texts = {path: [label.decode(errors="surrogatepass") for label in found.labels] for path, found in images.items()}

    def locate(text: str) -> str:
        path = next(path for path in images if text in texts[path])
        row = int(np.flatnonzero(images[path].label_of == texts[path].index(text))[0])
        return f"{path}: {os.fsdecode(images[path].names[row])} has"

    count = sum(len(found.names) for found in images.values())
    if not count:
        raise UserError(f"{where} has no images with labels in its {len(images)} shards")
    distinct_texts = {text for found in texts.values() for text in found}
    if len(distinct_texts) >= FEWEST_CAPTIONS and 2 * len(distinct_texts) > count:
        first = cut_middle(min(distinct_texts), 80)
        raise UserError(
            f"{where} has {len(distinct_texts)} different labels for {count} images, such as {first!r}: are they captions?"
        )
    names, labels = classes(distinct_texts, locate)
    check_class_names(where, names)
    splits, notes = {}, list(shards.notes)
    for split, paths in shards.of_split.items():
        records = records_of({path: images[path] for path in paths})
        in_shards = [np.array([labels[text] for text in texts[path]], np.int64)[images[path].label_of] for path in paths]
        if is_labeled(where, split, label_of := np.concatenate(in_shards), records.location):
            splits[split] = in_order(records, label_of)
        else:
            notes.append(no_labels(where, split))
    return Listing(tuple(names), splits, tuple(notes))


def records_of(images: dict[str, ShardImages]) -> RangeRecords:
    """The images of some shards in one sequence; a shard's name stands before those of its images if they are not distinct."""
    names = PackedStrings.joined(found.names for found in images.values())
    if not distinct(names):
        names = PackedStrings.joined(prefixed(path, found.names) for path, found in images.items())
    counts = [len(found.names) for found in images.values()]
    file_of = np.repeat(np.arange(len(images), dtype=np.int32), counts)
    offsets, lengths = (
        np.concatenate([getattr(found, field) for found in images.values()]) for field in ("offsets", "lengths")
    )
    return RangeRecords.of(tuple(images), names, file_of, offsets, lengths)


def distinct(names: PackedStrings) -> bool:
    """Whether no two names are the same; by 64 bits of each, as a set of a million names is large."""
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    return len(np.unique(hashes)) == len(hashes)


def prefixed(path: str, names: PackedStrings) -> PackedStrings:
    stem = os.fsencode(os.path.splitext(os.path.basename(path))[0])
    return PackedStrings.of(stem + b"/" + name for name in names)
