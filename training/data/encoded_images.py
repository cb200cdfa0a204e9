"""Encoded images on disk, read one at a time: image files, and examples in the TFRecord files of tensorflow-datasets."""

import dataclasses
import errno
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import tensorflow as tf
from google.protobuf.message import DecodeError

from keras_resnet.images import UnreadableImageError
from keras_resnet.preprocessing import open_image

if TYPE_CHECKING:
    from etils import epath
    from PIL import Image

LENGTH, CHECKSUM = 8, 4  # bytes: a length and its checksum, then the example and its checksum


class EncodedImage(Protocol):
    """An image on disk, in one of the formats of `keras_resnet.images`."""

    @property
    def name(self) -> str:
        """Where the image is, for messages."""
        ...

    def read(self) -> bytes:
        """Returns the encoded bytes.

        Raises:
            OSError: They cannot be read.
        """
        ...

    def file(self) -> str | BinaryIO:
        """Returns what `keras_resnet.images.opened` takes: a path, or a file object."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFile:
    """An image in a file of its own."""

    path: str

    @property
    def name(self) -> str:
        return self.path

    def read(self) -> bytes:
        return Path(self.path).read_bytes()

    def file(self) -> str:
        return self.path


@dataclasses.dataclass(frozen=True, slots=True)
class TFRecordExample:
    """An image inside a TFRecord file: where its `tf.train.Example` lies, and which feature of it is the image."""

    path: "Path | epath.Path"
    offset: int
    length: int
    feature: str

    @property
    def name(self) -> str:
        return f"{self.path} at byte {self.offset}"

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.length)
        try:
            return tf.train.Example.FromString(content).features.feature[self.feature].bytes_list.value[0]
        except (DecodeError, IndexError) as error:
            raise OSError(errno.EIO, f"has no feature {self.feature!r} with an image", self.name) from error

    def file(self) -> BinaryIO:
        return io.BytesIO(self.read())


def load(encoded: EncodedImage, channels: int) -> "Image.Image":
    """Returns `open_image` of an encoded image.

    Raises:
        OSError: It has disappeared, or cannot be decoded any more. Unlike that of a `UserError`, its text gets out of a
            pipeline of TensorFlow.
    """
    try:
        return open_image(encoded.file(), channels, encoded.name)
    except UnreadableImageError as error:
        number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        raise OSError(number or errno.EIO, error.reason, encoded.name) from error


def tfrecord_examples(paths: "Iterable[Path | epath.Path]", feature: str) -> Iterator[TFRecordExample]:
    """Yields a `TFRecordExample` for each example, in the order of the files, without reading the images.

    Raises:
        EOFError: A file ends inside an example.
    """
    for path in paths:
        with path.open("rb") as file:
            end = file.seek(0, io.SEEK_END)
            file.seek(0)
            while header := file.read(LENGTH + CHECKSUM):
                length, offset = int.from_bytes(header[:LENGTH], "little"), file.tell()
                if len(header) < LENGTH + CHECKSUM or length > end - offset - CHECKSUM:
                    raise EOFError(f"{path} ends inside an example")
                yield TFRecordExample(path, offset, length, feature)
                file.seek(length + CHECKSUM, io.SEEK_CUR)
