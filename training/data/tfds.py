"""Sets of tensorflow-datasets by name."""

import difflib

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_resnet.errors import UserError, comma_join, first_line

from .digits import digits_dataset_builder as _digits  # noqa: F401  registers "digits"
from .downloads import prepare
from .image_filter import SHARE, ImageFiles, filter_images
from .memory import available_memory
from .splits import ArraySplit
from .tfrecords import records

PARTS = ("train", "validation", "test")
LOOK = 100  # labels, to see whether a split has any


class TfdsDataset:
    """`labels` (class names in order) and `parts`, what there is of train, validation and test; read when asked for."""

    def __init__(self, name, data_dir, manual_dir, on_bad_image):
        self.name, self._on_bad_image = name, on_bad_image
        self._builder = get_builder(name, data_dir)
        self._image, self._label = keys(name, self._builder)
        self._features, self.labels = self._builder.info.features, labels_of_builder(name, self._builder)
        if self._features[self._image].dtype != np.uint8:
            raise UserError(f"dataset {name!r} has images of {self._features[self._image].dtype.__name__}, not of uint8")
        prepare(name, self._builder, manual_dir)
        self.bad_images = []
        there = (part for part in PARTS if part in self._builder.info.splits)
        self.parts = tuple(part for part in there if part != "test" or self._has_labels(part))

    def read(self, part):
        """Decoded where all images have one size and they fit into memory, else encoded, on disk."""
        examples, shape = self._builder.info.splits[part].num_examples, self._features[self._image].shape
        if None not in shape and examples * np.prod(shape) <= SHARE * available_memory():
            try:
                return self._decoded(part)
            except tf.errors.InvalidArgumentError:
                pass  # one does not decode: which?
        return self._encoded(part)

    def names(self, part):
        """What tells the examples apart: their places, which do not change in a prepared set."""
        bad = {*self.bad_images}
        places = range(self._builder.info.splits[part].num_examples)
        return [name for name in (f"{part}[{place}]" for place in places) if name not in bad]

    def _decoded(self, part):
        whole = self._read(part, self._image, self._label)
        return ArraySplit(np.asarray(whole[self._image])[..., :3], np.asarray(whole[self._label], np.int64))

    def _encoded(self, part):
        encoded = list(records(self._builder.info.splits[part].filepaths, self._image))
        labels = np.asarray(self._read(part, self._label)[self._label], np.int64)
        names = [f"{part}[{place}]" for place in range(len(labels))]
        channels = 1 if self._features[self._image].shape[-1] == 1 else 3
        sources, _, bad = filter_images({part: ImageFiles(encoded, labels, names)}, self._on_bad_image, channels)
        self.bad_images += bad
        return sources[part]

    def _read(self, part, *features):
        """{feature: its values, stacked}, in the order of the files."""
        decoding = tfds.decode.PartialDecoding(dict.fromkeys(features, True))
        config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
        try:
            return tfds.as_numpy(self._builder.as_dataset(split=part, decoders=decoding, batch_size=-1, read_config=config))
        except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
            raise UserError(
                f"dataset {self.name!r} has a damaged file in its {part.partition('[')[0]} part: "
                f"remove {self._builder.data_dir}, to have it fetched again"
            ) from error

    def _has_labels(self, part):
        """A test part without them, as ImageNet's, is of no use."""
        first = min(LOOK, self._builder.info.splits[part].num_examples)
        return (self._read(f"{part}[:{first}]", self._label)[self._label] != -1).any()


def get_builder(name, data_dir):
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(name, tfds.list_builders(), n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"unknown dataset {name!r}: {hint}It is digits, folder or a set of tensorflow-datasets") from error
    except (ValueError, AssertionError, ImportError) as error:
        raise UserError(f"dataset {name!r} cannot be opened: {first_line(error)}") from error


def keys(name, builder):
    """What the set calls the image and the label."""
    features = dict(builder.info.features)
    supervised = builder.info.supervised_keys or ()
    for image, label in ([supervised] if len(supervised) == 2 else []) + [("image", "label")]:
        kinds = (tfds.features.Image, tfds.features.ClassLabel)
        if all(isinstance(features.get(key), kind) for key, kind in zip((image, label), kinds, strict=True)):
            return image, label
    raise UserError(f"dataset {name!r} has no image and label, only {comma_join(features)}: it is not for image classification")


def labels_of_builder(name, builder):
    feature = builder.info.features[keys(name, builder)[1]]
    if not feature.num_classes:
        raise UserError(f"dataset {name!r} does not say which classes it has before it is prepared")
    return tuple(feature.names)
