"""Walks the protocol buffer of a `tf.train.Example` by its tags and lengths, without reading the values.

An example is nested messages: Example.features (field 1) has a map (1) of keys (1) to features (2), and a feature is a list of
bytes (1), floats (2) or integers (3), whose values are its field 1: see tensorflow/core/example/feature.proto.
"""

import mmap
from collections.abc import Iterable, Iterator

BYTES, FLOATS, INTEGERS = 1, 2, 3  # kinds of a feature: their fields
VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5  # how a value is written
FIRST_TAG, SECOND_TAG = 0x0A, 0x12  # of the fields 1 and 2 with a length

Buffer = bytes | mmap.mmap
Range = tuple[int, int]  # start and end


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
            if buffer[at] != FIRST_TAG:
                raise ValueError(f"there is no example at byte {start:,}")
            size, at = varint(buffer, at + 1)
            if (after := at + size) > end:
                raise ValueError(f"there is no example at byte {start:,}")
            key_end = at + 2 + (buffer[at + 1] if size > 2 else size)
            if key_end < min(at + 0x82, after) and buffer[at] == FIRST_TAG and buffer[key_end] == SECOND_TAG:
                size, value = varint(buffer, key_end + 1)
                if value + size == after:  # the key, then the feature, and nothing else, as everybody writes it
                    yield buffer[at + 2 : key_end], value, after
                    at = after
                    continue
            parts = {field: (a, b) for field, wire, a, b in fields_of(buffer, at, after) if wire == LENGTH}
            key, feature = parts.get(1, (at, at)), parts.get(2, (at, at))
            yield buffer[key[0] : key[1]], *feature
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
