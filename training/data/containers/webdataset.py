"""WebDataset: tar shards of samples, each some members that share a key: an image, and its label as .cls, .json or .txt."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.records import parse_json
from keras_resnet.remote import is_remote

from .archive_layout import decode, is_hidden
from .binary_files import is_folder, open_binary
from .folder_listing import KNOWN_SUFFIXES, Unused
from .indexes.shard_index import Index, cached_index, pack, unpack
from .indexes.tar import Kind, read_members
from .labels import classes_of
from .listing import Listing
from .packed_strings import PackedStrings
from .shards.class_names import class_names_beside
from .shards.files import find_shards
from .shards.listing import ShardImages, list_shards

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")  # compressed ones are refused by name
LABEL_SUFFIXES = (".cls", ".json", ".txt")  # the first that a sample has counts
JSON_KEYS = ("label", "class", "cls")
MAX_LABEL_BYTES = 1 << 20
NO_IMAGE, NO_LABEL = "samples without an image", "samples without a label (.cls, .json or .txt)"


class Sample(NamedTuple):
    """A group of members. members: {suffix: the member's row}."""

    key: str
    members: dict[str, int]


def list_webdataset(path: str | os.PathLike[str]) -> Listing:
    """Lists tar shards: all in a folder, those that a pattern such as train-{0000..0146}.tar names, or one.

    Splits are told by the names of the shards or of their folders; shards that are called after none are for training. Labels
    are the names of classes, or numbers: positions in the classes.txt, or dataset.json, beside the shards, or without these
    themselves the names of the classes.

    Raises:
        UserError: Two images or two labels have one key, a label is that of no class, or a shard is no tar archive.
    """
    path = os.fspath(path)
    shards = find_shards(path, lambda name: name.lower().endswith(SUFFIXES), "*.tar")
    unused = Unused(Path() if is_remote(path) else Path(path) if is_folder(path) else Path(path).parent)
    damage = []

    def images_of(shard: str) -> ShardImages:
        index = cached_index(shard, "webdataset", read_shard)
        if end := index["end"].tobytes().decode():
            damage.append(f"{shard} is damaged: {end}; what stands before it is used")
        for reason, field in ((NO_IMAGE, "without_image"), (NO_LABEL, "without_label")):
            for key in unpack(index, field):
                unused.add(reason, Path(os.path.basename(shard) if is_remote(shard) else shard) / decode(key))
        return ShardImages.of(index)

    names = class_names_beside(shards)
    listing = list_shards(path, shards, images_of, functools.partial(classes_of, names=names))
    return listing._replace(notes=(*listing.notes, *damage, *unused.lines()))


def read_shard(path: str) -> Index:
    """Goes through a shard, and reads its labels."""
    members = read_members(path)
    names, kinds = unpack(members, "names"), members["kinds"]
    rows, labels, label_of = [], dict[str, int](), []
    without_image, without_label = [], []
    seen = set[str]()
    with open_binary(path) as file:
        for sample in samples_of(path, names, kinds):
            image = image_of(path, sample)
            text = label_text(path, file, sample, members) if image is not None else None
            if image is None or text is None:
                (without_image if image is None else without_label).append(sample.key.encode("utf-8", "surrogateescape"))
                continue
            if sample.key in seen:
                raise UserError(f"{path} has two images for the key {sample.key!r}, not side by side; each key must have one")
            seen.add(sample.key)
            rows.append(image)
            label_of.append(labels.setdefault(text, len(labels)))
    found = ShardImages(
        PackedStrings.of(names[row] for row in rows),
        members["offsets"][rows],
        members["lengths"][rows],
        PackedStrings.of(text.encode(errors="surrogatepass") for text in labels),
        np.array(label_of, np.int32),
    )
    missing = pack("without_image", PackedStrings.of(without_image)) | pack("without_label", PackedStrings.of(without_label))
    return found.arrays() | missing | {"end": members["end"]}


def samples_of(path: str, names: PackedStrings, kinds: np.ndarray) -> Iterator[Sample]:
    """Yields the groups of files that stand next to each other and have one key: the name up to the last part's first dot.

    Raises:
        UserError: A sample has two members of one kind.
    """
    sample = Sample("", {})
    for row in np.flatnonzero(kinds == Kind.FILE).tolist():
        folder, slash, name = decode(names[row]).rpartition("/")
        if is_hidden(name):
            continue
        stem, dot, suffix = name.partition(".")
        key, suffix = f"{folder}{slash}{stem}", f"{dot}{suffix}".lower()
        if key != sample.key:
            if sample.members:
                yield sample
            sample = Sample(key, {})
        if suffix in sample.members:
            what = "images" if suffix in KNOWN_SUFFIXES else "labels" if suffix in LABEL_SUFFIXES else "members"
            raise UserError(f"{path} has two {what} for the key {key!r}, both {suffix}; each key must have one")
        sample.members[suffix] = row
    if sample.members:
        yield sample


def image_of(path: str, sample: Sample) -> int | None:
    """Returns the row of a sample's image; None if it has none."""
    suffixes = [suffix for suffix in sample.members if suffix in KNOWN_SUFFIXES]
    if len(suffixes) > 1:
        raise UserError(f"{path} has two images for the key {sample.key!r}, {' and '.join(suffixes)}; each key must have one")
    return sample.members[suffixes[0]] if suffixes else None


def label_text(path: str, file: BinaryIO, sample: Sample, members: Index) -> str | None:
    """Reads the label of a sample; None if it has none.

    Raises:
        UserError: There is something else where its label should be.
    """
    for suffix in LABEL_SUFFIXES:
        if (row := sample.members.get(suffix)) is None:
            continue
        length = int(members["lengths"][row])
        file.seek(int(members["offsets"][row]))
        content = file.read(min(length, MAX_LABEL_BYTES))
        if len(content) < length:
            return None  # cut off
        text = label_in(f"{path}: {sample.key}{suffix}", suffix, content)
        if text:
            return text
    return None


def label_in(where: str, suffix: str, content: bytes) -> str | None:
    """Returns the label in a member's content; None if there is none."""
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is not text in UTF-8; it must hold a label") from error
    if suffix == ".json":
        try:
            value = parse_json(text)
        except UserError as error:
            raise UserError(f"{where} cannot be read: {error}") from error
        label = next((value[key] for key in JSON_KEYS if isinstance(value, dict) and value.get(key) is not None), None)
        if not isinstance(label, int | str | None) or isinstance(label, bool):
            raise UserError(f"{where} has the label {label!r}; it must be an integer or the name of a class")
        return None if label is None else str(label).strip()
    if suffix == ".cls" and not text.removeprefix("-").isdecimal():
        raise UserError(f"{where} holds {text[:80]!r}; it must hold the label as an integer")
    return text
