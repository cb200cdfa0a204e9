"""Encoded images on disk, read one at a time: image files, and examples in the TFRecord files of tensorflow-datasets."""

import dataclasses
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import tensorflow as tf

if TYPE_CHECKING:
    from etils import epath

LENGTH, CHECKSUM = 8, 4  # bytes: a length and its checksum, then the example and its checksum


class EncodedImage(Protocol):
    """A JPEG, PNG, BMP or GIF on disk."""

    def read(self) -> bytes:
        """Returns the encoded bytes."""
        ...

    def pillow_file(self) -> str | BinaryIO:
        """Returns what `PIL.Image.open` takes: a path, or a file object."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFile:
    """An image in a file of its own."""

    path: str

    def read(self) -> bytes:
        return Path(self.path).read_bytes()

    def pillow_file(self) -> str:
        return self.path


@dataclasses.dataclass(frozen=True, slots=True)
class TFRecordExample:
    """An image inside a TFRecord file: where its `tf.train.Example` lies, and which feature of it is the image."""

    path: "Path | epath.Path"
    offset: int
    length: int
    feature: str

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            example = tf.train.Example.FromString(file.read(self.length))
        return example.features.feature[self.feature].bytes_list.value[0]

    def pillow_file(self) -> BinaryIO:
        return io.BytesIO(self.read())


def tfrecord_examples(paths: "Iterable[Path | epath.Path]", feature: str) -> Iterator[TFRecordExample]:
    """Yields a `TFRecordExample` for each example, in the order of the files, without reading the images."""
    for path in paths:
        with path.open("rb") as file:
            while header := file.read(LENGTH + CHECKSUM):
                length = int.from_bytes(header[:LENGTH], "little")
                yield TFRecordExample(path, file.tell(), length, feature)
                file.seek(length + CHECKSUM, 1)
