"""Where the images lie in a TFRecord file of `tf.train.Example`s, by the tags and lengths of their protocol buffers alone.

A record is its length (8 bytes), the length's checksum (4), the example and the example's checksum (4): see
tensorflow/core/lib/io/record_writer.h. An example is nested messages: Example.features (field 1) has a map (1) of keys (1) to
features (2), and a feature is a list of bytes (1), floats (2) or integers (3), whose values are its field 1: see
tensorflow/core/example/feature.proto.
"""

import contextlib
import mmap
import struct
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from keras_resnet.errors import UserError

from ...binary_files import is_url, open_binary
from ...packed_strings import PackedStrings
from .compression import check_is_not_compressed

HEADER = struct.Struct("<QL")
CHECKSUM = 4  # bytes
BYTES, FLOATS, INTEGERS = 1, 2, 3  # kinds of a feature: their fields
VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5  # how a value is written
KEY_TAG, ENTRY_TAG = 0x0A, 0x0A  # field 1 with a length

Buffer = bytes | mmap.mmap
Range = tuple[int, int]  # start and end


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
        if is_url(path) or not file.seek(0, 2):
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


def features_of(buffer: Buffer, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the key of each feature in an example, and where the feature lies.

    Raises:
        ValueError: It is no example.
    """
    for field, wire, begin, end in fields_of(buffer, start, stop):
        if field != 1 or wire != LENGTH:
            continue
        at = begin
        while at < end:
            if buffer[at] != ENTRY_TAG:
                raise ValueError(f"there is no example at byte {start:,}")
            size, at = varint(buffer, at + 1)
            if (after := at + size) > end:
                raise ValueError(f"there is no example at byte {start:,}")
            if size > 3 and buffer[at] == KEY_TAG and (length := buffer[at + 1]) < 0x80 and buffer[at + 2 + length] == 0x12:
                key_end = at + 2 + length
                size, begin_value = varint(buffer, key_end + 1)
                if begin_value + size == after:  # the key, then the feature, and nothing else, as everybody writes it
                    yield buffer[at + 2 : key_end], begin_value, after
                    at = after
                    continue
            parts = {field: (a, b) for field, wire, a, b in fields_of(buffer, at, after) if wire == LENGTH}
            key, value = parts.get(1, (at, at)), parts.get(2, (at, at))
            yield buffer[key[0] : key[1]], *value
            at = after


def fields_of(buffer: Buffer, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields of each field in a message its number, how its value is written, and where the value lies.

    Raises:
        ValueError: It is no message.
    """
    at = start
    while at < stop:
        tag, at = varint(buffer, at)
        field, wire, begin = tag >> 3, tag & 7, at
        if wire == VARINT:
            _, at = varint(buffer, at)
        elif wire == LENGTH:
            size, begin = varint(buffer, at)
            at = begin + size
        elif wire in (FIXED_64, FIXED_32):
            at += 8 if wire == FIXED_64 else 4
        else:
            raise ValueError(f"there is no example at byte {start:,}")
        if at > stop or not field:
            raise ValueError(f"there is no example at byte {start:,}")
        yield field, wire, begin, at


def bytes_in(buffer: Buffer, feature: Range | None) -> Range | None:
    """Where the first value of a list of bytes lies; None if there is none."""
    return first(buffer, feature, BYTES, (LENGTH,))


def text_of(buffer: Buffer, feature: Range | None) -> bytes:
    """The first value of a list of bytes, or of integers as text; b"" for none."""
    if feature is None:
        return b""
    if found := first(buffer, feature, BYTES, (LENGTH,)):
        return buffer[found[0] : found[1]]
    if (found := first(buffer, feature, INTEGERS, (LENGTH, VARINT))) and found[0] < found[1]:  # packed, or one by one
        value, _ = varint(buffer, found[0])
        return str(value - (1 << 64) if value >= 1 << 63 else value).encode()
    return b""


def first(buffer: Buffer, feature: Range | None, kind: int, wires: Iterable[int]) -> Range | None:
    """Where the first value of a list of a kind lies; None if there is none."""
    if feature is None:
        return None
    for field, _, begin, end in fields_of(buffer, *feature):
        if field == kind:
            return next(((a, b) for inner, wire, a, b in fields_of(buffer, begin, end) if inner == 1 and wire in wires), None)
    return None


def varint(buffer: Buffer, at: int) -> Range:
    """Returns an integer of 7 bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    with_more = 0x80
    while True:
        try:
            byte = buffer[at]
        except IndexError as error:
            raise ValueError(f"it ends at byte {len(buffer):,}, inside an example") from error
        at += 1
        if byte < with_more:
            return value | byte << shift, at
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 63:
            raise ValueError(f"there is no example at byte {at:,}")


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
