"""Datasets of tensorflow-datasets, by name."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_resnet.class_names import check_are_lines
from keras_resnet.errors import UserError, comma_join

from .builders import get_builder
from .containers.indexes.shard_index import cached_index
from .containers.packed_strings import PackedStrings
from .containers.records import LabeledRecords, RangeRecords, Records
from .containers.shards.listing import ShardImages
from .containers.tfrecord import Features, read_shard
from .decoding.bad_images import BadImages
from .downloads import prepare
from .image_filter import MEMORY_FRACTION, read_splits
from .memory import available_memory
from .splits import ArraySplit, Split

PNG_START = b"\x89PNG"
SPLITS = ("train", "validation", "test")
LABELS_CHECKED = 100  # to see whether a test split has any


class TfdsDataset:
    """A dataset of tensorflow-datasets, downloaded and prepared if it is not yet; a split is read when it is asked for.

    Attributes:
        class_names: In the order of the labels.
        splits: Those of train, validation and test that it has, without a test split that has no labels.
    """

    def __init__(self, name: str, data_dir: str | Path | None, manual_dir: str | Path | None, bad_images: BadImages) -> None:
        self.name, self._bad_images = name, bad_images
        self._builder = get_builder(name, data_dir)
        self._image_key, self._label_key = supervised_keys(name, self._builder)
        self._image = features_of(self._builder)[self._image_key]
        self.class_names = class_names_of_builder(name, self._builder)
        if self._image.dtype != np.uint8:
            raise UserError(f"dataset {name!r} has images of {np.dtype(self._image.dtype).name}, not of uint8")
        prepare(name, self._builder, manual_dir)
        self._left_out = set[str]()  # names of images that no split has
        available = [split for split in SPLITS if split in self._builder.info.splits]
        self.splits = tuple(split for split in available if split != "test" or self._has_labels(split))

    def read(self, split: str) -> Split:
        """Returns a split: decoded if all images have one size and fit into memory, else encoded, on disk."""
        with self._damage_named(split):
            info, shape = self._builder.info.splits[split], self._image.shape
            fits = None not in shape and info.num_examples * np.prod(shape) <= MEMORY_FRACTION * available_memory()
            if fits and self._begins_with_png(split):
                with contextlib.suppress(tf.errors.InvalidArgumentError):  # an image does not decode; below it is named
                    return self._decoded(split)
            return self._encoded(split, self._listed(split))

    def names(self, split: str) -> list[str]:
        """Returns a name for each example: its position, which does not change in a prepared dataset."""
        positions = range(self._builder.info.splits[split].num_examples)
        return [name for name in (f"{split}[{position}]" for position in positions) if name not in self._left_out]

    def _decoded(self, split: str) -> ArraySplit:
        values = self._read(split, self._image_key, self._label_key)
        images, labels = values[self._image_key], values[self._label_key]
        return ArraySplit(np.asarray(images)[..., :3], np.asarray(labels, np.int64))

    def _files(self, split: str) -> list[str]:
        return [os.fspath(path) for path in self._builder.info.splits[split].filepaths]

    def _begins_with_png(self, split: str) -> bool:
        """Whether the first image is a PNG: of these all decoders make the same pixels, which of a JPEG they do not."""
        for example in tf.data.TFRecordDataset(self._files(split)).take(1).as_numpy_iterator():
            images = tf.train.Example.FromString(example).features.feature[self._image_key].bytes_list.value
            return bool(images) and images[0].startswith(PNG_START)
        return False

    def _listed(self, split: str) -> LabeledRecords:
        """Lists the images of a split in the order of its files, without reading them."""
        files = self._files(split)
        features = Features(self._image_key, self._label_key, class_name="", name="")
        try:
            indexes = [cached_index(file, f"tfrecord {features!r}", lambda path: read_shard(path, features)) for file in files]
        except UserError as error:
            raise ValueError(str(error)) from error
        if any(len(index["end"]) for index in indexes):
            raise ValueError("a file ends inside an example")
        shards = [*map(ShardImages.of, indexes)]
        counts = [len(shard.offsets) for shard in shards]
        if sum(counts) != self._builder.info.splits[split].num_examples:
            raise ValueError(f"there are {sum(counts)} examples")
        records = RangeRecords.of(
            files,
            PackedStrings.of(f"{split}[{position}]".encode() for position in range(sum(counts))),
            np.repeat(np.arange(len(files), dtype=np.int32), counts),
            np.concatenate([shard.offsets for shard in shards]),
            np.concatenate([shard.lengths for shard in shards]),
        )
        labels = [np.array([*map(int, shard.labels)], np.int64)[shard.label_of] for shard in shards]
        return LabeledRecords(records, np.concatenate(labels))

    def _encoded(self, split: str, listed: LabeledRecords) -> Split:
        channels = 1 if self._image.shape[-1] == 1 else 3
        read = read_splits({split: listed}, self._bad_images, channels)[split]
        if len(read.records) < len(listed):  # a million names take much memory
            self._left_out |= {*all_names(listed.records)} - {*all_names(read.records)}
        return read.split

    def _read(self, split: str, *features: str) -> dict[str, np.ndarray]:
        """Returns {feature: its values, stacked}, in the order of the files."""
        decoding = tfds.decode.PartialDecoding(dict.fromkeys(features, True))
        config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
        # `as_dataset` is decorated, which hides its parameters from type checkers.
        as_dataset: Any = self._builder.as_dataset
        return tfds.as_numpy(as_dataset(split=split, decoders=decoding, batch_size=-1, read_config=config))

    @contextlib.contextmanager
    def _damage_named(self, split: str) -> Iterator[None]:
        """Raises whatever TensorFlow and tensorflow-datasets raise for damaged files as a `UserError`."""
        try:
            yield
        except (UserError, MemoryError):
            raise
        except Exception as error:
            raise UserError(
                f"dataset {self.name!r} has a damaged file in its {split.partition('[')[0]} split: "
                f"remove {self._builder.data_dir} to download it again"
            ) from error

    def _has_labels(self, split: str) -> bool:
        """Whether the first examples of a split are labeled; those of ImageNet's test split are not."""
        with self._damage_named(split):
            first = min(LABELS_CHECKED, self._builder.info.splits[split].num_examples)
            return bool((self._read(f"{split}[:{first}]", self._label_key)[self._label_key] != -1).any())


def all_names(records: Records) -> Iterator[str]:
    return map(records.name, range(len(records)))


def features_of(builder: tfds.core.DatasetBuilder) -> dict[str, Any]:
    features: Any = builder.info.features
    return dict(features)


def supervised_keys(name: str, builder: tfds.core.DatasetBuilder) -> tuple[str, str]:
    """Returns the names of the features that hold the image and its label."""
    features = features_of(builder)
    supervised: Any = builder.info.supervised_keys or ()
    for keys in ([supervised] if len(supervised) == 2 else []) + [("image", "label")]:
        types = (tfds.features.Image, tfds.features.ClassLabel)
        if all(isinstance(features.get(key), type_) for key, type_ in zip(keys, types, strict=True)):
            return keys
    raise UserError(
        f"dataset {name!r} does not have an image and a label, only {comma_join(features)}: it is not for image classification"
    )


def class_names_of_builder(name: str, builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
    label = features_of(builder)[supervised_keys(name, builder)[1]]
    if not label.num_classes:
        raise UserError(f"dataset {name!r} does not say which classes it has before it is prepared")
    check_are_lines(label.names, f"dataset {name!r} has classes whose names are not a line of text")
    return tuple(label.names)
