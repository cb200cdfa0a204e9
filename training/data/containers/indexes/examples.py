"""Where the images lie in a TFRecord file of `tf.train.Example`s, by the tags and lengths of their protocol buffers alone.

A record is its length (8 bytes), the length's checksum (4), the example and the example's checksum (4): see
tensorflow/core/lib/io/record_writer.h.
"""

import contextlib
import mmap
import struct
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.remote import is_remote

from ..binary_files import open_binary
from ..packed_strings import PackedStrings
from .compression import check_is_not_compressed
from .example_fields import Buffer, Range, bytes_in, features_of, fields_of, text_of

HEADER = struct.Struct("<QL")
CHECKSUM = 4  # bytes


class ExampleIndex(NamedTuple):
    """The examples of a file, in its order.

    Attributes:
        offsets, lengths: int64 (N,), of the image's bytes; a length of -1 for an example without an image.
        labels: The distinct labels, integers as text; "" stands for none.
        label_of: int32 (N,), which of them each example has.
        class_names: What the first example with each of these labels calls it; "" for nothing.
        names: Of the examples; "" for those without.
        end: Why the file is damaged after the last of these examples; "" for a whole one.
    """

    offsets: np.ndarray
    lengths: np.ndarray
    labels: PackedStrings
    label_of: np.ndarray
    class_names: PackedStrings
    names: PackedStrings
    end: str


def index_examples(path: str, image: str, label: str = "", class_name: str = "", name: str = "") -> ExampleIndex:
    """Finds the images and labels in a file. Images are not read.

    Args:
        path: Of the file.
        image: Name of the feature that has the encoded image.
        label, class_name, name: Those of the features that have the label, its name, and the image's name; "" for none.

    Raises:
        UserError: It is compressed, or no file of examples.
    """
    slots = {key.encode(): slot for slot, key in enumerate((image, label, class_name, name)) if key}
    offsets, lengths, label_of = array("q"), array("q"), array("i")
    labels, class_names, names, end = dict[bytes, int](), [], [], ""
    with opened(path) as buffer:
        try:
            for start, stop in records_of(buffer):
                found: list[Range | None] = [None] * 4
                for key, begin, finish in features_of(buffer, start, stop):
                    if (slot := slots.get(key)) is not None:
                        found[slot] = begin, finish
                image_range = bytes_in(buffer, found[0])
                offsets.append(image_range[0] if image_range else start)
                lengths.append(image_range[1] - image_range[0] if image_range else -1)
                text = text_of(buffer, found[1])
                if (number := labels.get(text)) is None:
                    number = labels[text] = len(labels)
                    class_names.append(text_of(buffer, found[2]))
                label_of.append(number)
                names.append(text_of(buffer, found[3]))
        except (ValueError, IndexError) as error:
            if not offsets:
                raise UserError(f"{path} is not a TFRecord file of examples, or a damaged one: {error}") from error
            end = str(error)
    packed = (PackedStrings.of(labels), np.array(label_of), PackedStrings.of(class_names), PackedStrings.of(names))
    return ExampleIndex(np.array(offsets), np.array(lengths), *packed, end)


def feature_kinds(path: str) -> dict[str, int]:
    """Returns {name of a feature: BYTES, FLOATS or INTEGERS} of the first example in a file; nothing of an empty file.

    Raises:
        UserError: It is compressed, or no file of examples.
    """
    with opened(path) as buffer:
        try:
            for start, stop in records_of(buffer):
                features = {key.decode(errors="replace"): (a, b) for key, a, b in features_of(buffer, start, stop)}
                return {key: next((field for field, *_ in fields_of(buffer, *at)), 0) for key, at in features.items()}
        except (ValueError, IndexError) as error:
            raise UserError(f"{path} is not a TFRecord file of examples, or a damaged one: {error}") from error
    return {}


@contextlib.contextmanager
def opened(path: str) -> Iterator[Buffer]:
    """Maps a file into memory; one at a URL is read."""
    with open_binary(path) as file:
        check_is_not_compressed(path, file, "tfrecord")
        if is_remote(path) or not file.seek(0, 2):
            file.seek(0)
            yield file.read()
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield mapped


def records_of(buffer: Buffer) -> Iterator[Range]:
    """Yields where each example lies.

    Raises:
        ValueError: There is something else, or the end.
    """
    at, size = 0, len(buffer)
    while at < size:
        if at + HEADER.size > size:
            raise ValueError(f"it ends at byte {size:,}, inside an example")
        length, checksum = HEADER.unpack_from(buffer, at)
        if masked_crc32c(buffer[at : at + 8]) != checksum:
            raise ValueError(f"the length of an example, at byte {at:,}, does not have its checksum")
        start = at + HEADER.size
        at = start + length + CHECKSUM
        if at > size:
            raise ValueError(f"it ends at byte {size:,}, inside an example")
        yield start, start + length


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


CRC32C = _crc32c_table()  # Castagnoli's polynomial


def masked_crc32c(content: bytes) -> int:
    """The checksum of a few bytes as TFRecord files have it: see tensorflow/core/lib/hash/crc32c.h."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF
