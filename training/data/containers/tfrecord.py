"""TFRecord shards of labeled images, such as ImageNet's as TF-Slim and tf-models write them: train-00000-of-01024."""

import collections
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_resnet.errors import UserError, comma_join

from .archive_layout import decode
from .indexes.example_fields import BYTES, INTEGERS
from .indexes.examples import ExampleIndex, feature_kinds, index_examples
from .indexes.shard_index import Index, cached_index, pack, unpack
from .labels import UNLABELED, Classes, classes_of
from .listing import Listing
from .packed_strings import PackedStrings
from .shards.class_names import class_names_beside
from .shards.files import Shards, find_shards
from .shards.listing import ShardImages, list_shards

SHARD = re.compile(r".*(-\d+-of-\d+|\.tfrecords?|\.tfrec)(\.gz)?", re.IGNORECASE)
IMAGES = ("image/encoded", "image", "image_raw", "image_bytes", "image/raw", "encoded", "jpeg")
LABELS = ("image/class/label", "label", "class", "image/label", "class_id")
CLASS_NAMES = ("image/class/synset", "image/class/text", "class_name", "label_name", "image/class/name")  # synsets are distinct
NAMES = ("image/filename", "filename", "file_name", "image/source_id", "image_id", "key")
BACKGROUND = ("background", "dummy")  # what lists call the class 0 that TF-Slim keeps free


class Features(NamedTuple):
    """The names of the features that hold each image; "" for none."""

    image: str
    label: str
    class_name: str
    name: str


def list_tfrecord(path: str | os.PathLike[str]) -> Listing:
    """Lists TFRecord shards: all in a folder, those that a pattern names, or one. Splits are told by the names of the shards.

    Labels are integers. The names of the classes stand in the examples, as in ImageNet's (its synsets), or in a file beside the
    shards; else the integers are the names. TF-Slim counts ImageNet's classes from 1, as its class 0 is the background, which
    no image shows. With names in the examples the classes are the labels that there are, wherever they begin. With a file,
    labels are positions in it, but counted from 1 where none is 0 and the last is the number of names.

    Raises:
        UserError: There are no shards with images and labels, a label is that of no class, or a shard is compressed.
    """
    path = os.fspath(path)
    shards = find_shards(path, lambda name: bool(SHARD.fullmatch(name)), "*-00000-of-00010 or *.tfrecord")
    features = find_features(path, shards)
    damage, called = [], dict[str, dict[str, str]]()

    def images_of(shard: str) -> ShardImages:
        index = cached_index(shard, f"tfrecord {features!r}", lambda path: read_shard(path, features))
        if end := index["end"].tobytes().decode():
            damage.append(f"{shard} is damaged: {end}; what stands before it is used")
        images = ShardImages.of(index)
        images = images._replace(labels=PackedStrings.of(label or str(UNLABELED).encode() for label in images.labels))
        texts = (decode(text) for text in images.labels)
        called[shard] = dict(zip(texts, map(decode, unpack(index, "class_names")), strict=True))
        return images

    def classes(texts: set[str], locate: Callable[[str], str]) -> Classes:
        names = names_of_labels(path, called)
        return classes_by_name(names, texts) if names else classes_in_file(texts, locate, class_names_beside(shards), damage)

    listing = list_shards(path, shards, images_of, classes)
    return listing._replace(notes=(*listing.notes, *damage))


def find_features(where: str, shards: Shards) -> Features:
    """Returns the features of the first example that there is.

    Raises:
        UserError: None has an image, or none a label.
    """
    kinds: Mapping[str, int] = {}
    for shard in (shard for paths in shards.of_split.values() for shard in paths):
        if kinds := feature_kinds(shard):
            break
    else:
        raise UserError(f"{where} is empty: its shards have no examples")

    def find(names: Sequence[str], *wanted: int) -> str:
        return next((name for name in names if kinds.get(name) in wanted), "")

    found = Features(find(IMAGES, BYTES), find(LABELS, INTEGERS, BYTES), find(CLASS_NAMES, BYTES), find(NAMES, BYTES))
    for what, feature, names in (("an encoded image", found.image, IMAGES), ("a label", found.label, LABELS)):
        if not feature:
            shown = comma_join(sorted(kinds), 20) or "none"
            raise UserError(f"{where} has no feature with {what}, which may be {comma_join(names, 3)}; there are {shown}")
    return found


def read_shard(path: str, features: Features) -> Index:
    """Goes through a shard; labels of integers and of text are both text, and "" that of an example without one."""
    index = index_examples(path, features.image, features.label, features.class_name, features.name)
    images = ShardImages(names_of(index), index.offsets, index.lengths, index.labels, index.label_of)
    return images.arrays() | pack("class_names", index.class_names) | {"end": np.frombuffer(index.end.encode(), np.uint8)}


def names_of(index: ExampleIndex) -> PackedStrings:
    """The names of the images in a shard: their own if all have different ones, else their positions."""
    names = index.names
    if np.all(np.diff(names.ends, prepend=0)) and len({*names}) == len(names):
        return names
    return PackedStrings.of(b"%06d" % position for position in range(len(names)))


def names_of_labels(where: str, called: Mapping[str, Mapping[str, str]]) -> dict[int, str]:
    """Returns {label: the name of its class}, as the examples have it; nothing if some have none.

    Raises:
        UserError: They do not agree.
    """
    names: dict[int, str] = {}
    for shard, texts in called.items():
        for text, name in texts.items():
            if text == str(UNLABELED):
                continue
            if not name or not text.lstrip("-").isdecimal():
                return {}
            if names.setdefault(int(text), name) != name:
                raise UserError(f"{where} calls the label {text} {names[int(text)]!r}, but {name!r} in {shard}")
    counts = collections.Counter(names.values())
    return {label: f"{name} ({label})" if counts[name] > 1 else name for label, name in names.items()}


def classes_by_name(names: Mapping[int, str], texts: set[str]) -> Classes:
    """Makes classes of the labels that there are, in numeric order, wherever they begin."""
    labels = {label: position for position, label in enumerate(sorted(names))}
    in_order = tuple(names[label] for label in labels)
    return Classes(in_order, {text: labels.get(int(text), UNLABELED) for text in texts})


def classes_in_file(texts: set[str], locate: Callable[[str], str], names: Sequence[str] | None, notes: list[str]) -> Classes:
    """Makes classes of the names in a file beside the shards, and says where labels are not simply positions in it."""
    numbers = {int(text) for text in texts if text.lstrip("-").isdecimal()} - {UNLABELED}
    if not names or len(numbers) < len(texts - {str(UNLABELED)}) or not numbers or 0 in numbers:
        return classes_of(texts, locate, names)
    if names[0].strip().casefold() in BACKGROUND:
        names = names[1:]
    elif max(numbers) != len(names):
        return classes_of(texts, locate, names)
    notes.append(f"labels are counted from 1: label 1 is {names[0]!r}, and none is 0, which TF-Slim keeps for the background")
    shifted = {text: text if text == str(UNLABELED) else str(int(text) - 1) for text in texts}
    back = {new: text for text, new in shifted.items()}
    found = classes_of({*shifted.values()}, lambda value: locate(back[value]), names)
    return Classes(found.names, {text: found.labels[shifted[text]] for text in texts})
