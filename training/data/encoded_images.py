"""Encoded images on disk, read one at a time: image files, and examples in the TFRecord files of tensorflow-datasets."""

import dataclasses
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from .records import DamagedRecordError

if TYPE_CHECKING:
    from etils import epath

LENGTH, CHECKSUM = 8, 4  # bytes: a length and its checksum, then the example and its checksum


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
            raise DamagedRecordError(f"has no feature {self.feature!r} with an image") from error


@dataclasses.dataclass(frozen=True, eq=False)
class ExampleRecords:
    """The images of a split of tensorflow-datasets: `TFRecordExample`s (N,), and their positions in the split."""

    split: str
    examples: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, split: str, examples: Iterable[TFRecordExample]) -> Self:
        listed = [*examples]
        array = np.empty(len(listed), object)
        array[:] = listed
        return cls(split, array, np.arange(len(listed)))

    def __len__(self) -> int:
        return len(self.examples)

    def name(self, index: int) -> str:
        return f"{self.split}[{self.positions[index]}]"

    def location(self, index: int) -> str:
        return self.examples[index].name

    def read(self, index: int) -> bytes:
        return self.examples[index].read()

    def take(self, rows: np.ndarray | slice) -> Self:
        return dataclasses.replace(self, examples=self.examples[rows], positions=self.positions[rows])

    def total_bytes(self, limit: int) -> int:
        return sum(example.length for example in self.examples)

    def content(self, index: tf.Tensor) -> None:
        return None


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
