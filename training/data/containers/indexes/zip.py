"""The members of a zip archive: the list at its end, and the content of one."""

import dataclasses
import os
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from keras_resnet.errors import UserError

from ..binary_files import FileVersion, open_binary, open_unchanged
from ..packed_strings import PackedStrings, StringPacker
from ..records import DamagedRecordError
from .compression import check_is_not_compressed
from .shard_index import Index, cached_index, pack, unpack

END = struct.Struct("<4s4H2LH")  # disks, members, bytes and start of the list, length of a comment
END64_LOCATOR = struct.Struct("<4sLQL")
END64 = struct.Struct("<4sQ2H2L4Q")
ENTRY = struct.Struct("<4s2B5H3L5H2L")  # of the list
HEADER = struct.Struct("<4s5H3L2H")  # before the content of a member
END_START, END64_LOCATOR_START, END64_START, ENTRY_START, HEADER_START = (
    b"PK\5\6", b"PK\6\7", b"PK\6\6", b"PK\1\2", b"PK\3\4",
)  # fmt: skip
LONGEST_COMMENT = 1 << 16
FULL = 0xFFFFFFFF  # a number that stands in the entry's zip64 field
ENCRYPTED, UTF_8 = 0x1, 0x800  # flags
STORED, DEFLATED = 0, 8
METHODS = {1: "shrunk", 6: "imploded", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 96: "JPEG", 99: "AES"}
MAX_BYTES = 1 << 30  # of an image; deflated zeros unpack to a thousand times their size
DOS, UNIX = 0, 3  # systems


class ZipIndex(NamedTuple):
    """The members of an archive, in the order of its list.

    Attributes:
        names: In UTF-8, of folders with a "/" at the end.
        links: bool (N,), which members are symbolic links.
        offsets: int64 (N,), of their headers.
        lengths, sizes: int64 (N,), of their content in the archive, and unpacked.
        methods, flags: uint16 (N,).
        checksums: uint32 (N,).
    """

    names: PackedStrings
    links: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    sizes: np.ndarray
    methods: np.ndarray
    flags: np.ndarray
    checksums: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ZipRecords:
    """Images in a zip archive.

    Attributes:
        path: Of the archive.
        keys: The name of each image.
        index: The members of the archive.
        members: int64 (M,), which of them the images are.
        rows: int64 (N,), which of the M these images are.
        version: Of the archive, when its members were listed.
    """

    path: str
    keys: PackedStrings
    index: ZipIndex
    members: np.ndarray
    rows: np.ndarray
    version: FileVersion | None

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        return os.fsdecode(self.keys[self.rows[index]])

    def location(self, index: int) -> str:
        return f"{self.path}: {self.name(index)}"

    def read(self, index: int) -> bytes:
        with open_unchanged(self.path, self.version) as file:
            return read_member(file, self.index, int(self.members[self.rows[index]]))

    def take(self, rows: np.ndarray | slice) -> Self:
        return dataclasses.replace(self, rows=self.rows[rows])

    def total_bytes(self, limit: int) -> int:
        return int(self.index.sizes[self.members[self.rows]].sum())


def read_member(file: BinaryIO, index: ZipIndex, member: int) -> bytes:
    """Reads the content of a member, and compares its checksum.

    Raises:
        DamagedRecordError: It is not as the list says, or cannot be unpacked.
    """
    offset, length, size = (int(numbers[member]) for numbers in (index.offsets, index.lengths, index.sizes))
    method, checksum = int(index.methods[member]), int(index.checksums[member])
    if index.flags[member] & ENCRYPTED:
        raise DamagedRecordError("is encrypted; unpack the archive")
    if method not in (STORED, DEFLATED):
        name = METHODS.get(method, "unknown")
        raise DamagedRecordError(f"is compressed by method {method} ({name}); only stored and deflated members can be read")
    if size > MAX_BYTES:
        raise DamagedRecordError(f"claims to have {size:,} bytes; an image may have {MAX_BYTES:,}")
    file.seek(offset)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size or not header.startswith(HEADER_START):
        raise DamagedRecordError(f"is not at byte {offset:,} of its archive")
    name_length, extra_length = HEADER.unpack(header)[-2:]
    file.seek(offset + HEADER.size + name_length + extra_length)
    content = file.read(min(length, MAX_BYTES))
    if len(content) == length and method == DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
        except zlib.error as error:
            raise DamagedRecordError(f"cannot be unpacked: {error}") from error
    if len(content) != size:
        raise DamagedRecordError(f"has {len(content):,} bytes, not {size:,}")
    if zlib.crc32(content) != checksum:
        raise DamagedRecordError("does not have its checksum")
    return content


def index_zip(path: str) -> ZipIndex:
    """Lists an archive, or takes the list from the cache.

    Raises:
        UserError: It is no zip archive, or its list is damaged.
    """
    index = cached_index(path, "zip", read_list)
    return ZipIndex(unpack(index, "names"), *(index[field] for field in ZipIndex._fields[1:]))


def read_list(path: str) -> Index:
    """Reads the list of members at an archive's end."""
    with open_binary(path) as file:
        check_is_not_compressed(path, file, "zip")
        try:
            start, length, base = find_list(file)
            file.seek(start)
            entries = file.read(length)
            return arrays_of(entries, base)
        except (struct.error, IndexError, ValueError, OverflowError) as error:
            raise UserError(f"{path} is not a zip archive, or a damaged one: {error}; was it copied whole?") from error


def find_list(file: BinaryIO) -> tuple[int, int, int]:
    """Returns where the list of members starts, how long it is, and what offsets in it are counted from.

    Raises:
        ValueError: There is none, or it is in another file.
    """
    size = file.seek(0, 2)
    file.seek(max(size - END.size - LONGEST_COMMENT, 0))
    tail = file.read()
    at = tail.rfind(END_START)
    if at < 0:
        raise ValueError("it has no list of members at its end")
    _, disk, first_disk, _, _, length, start, _ = END.unpack_from(tail, at)
    end = size - len(tail) + at
    file.seek(max(end - END64_LOCATOR.size, 0))
    locator = file.read(END64_LOCATOR.size)
    if locator.startswith(END64_LOCATOR_START):
        _, _, position, _ = END64_LOCATOR.unpack(locator)
        file.seek(position)
        record = file.read(END64.size)
        if not record.startswith(END64_START):
            raise ValueError("its list of members is not where it says")
        _, _, _, _, disk, first_disk, _, _, length, start = END64.unpack(record)
        end = position
    if disk or first_disk:
        raise ValueError("it is one of several parts; join them first")
    if length > end:
        raise ValueError("its list of members is longer than itself")
    return end - length, length, end - length - start  # what stands before the archive, as in one that unpacks itself


def arrays_of(entries: bytes, base: int) -> Index:
    """Makes the arrays of `ZipIndex` of the list."""
    names = StringPacker()
    columns = {name: array(code) for name, code in zip(ZipIndex._fields[1:], "bqqqHHL", strict=True)}
    for name, *values in entries_of(entries, base):
        names.append(name)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    types = {"links": bool, "checksums": np.uint32}
    arrays = {name: np.array(column, types.get(name)) for name, column in columns.items()}
    return pack("names", names.packed()) | arrays


def entries_of(entries: bytes, base: int) -> Iterator[tuple[bytes, bool, int, int, int, int, int, int]]:
    """Yields the fields of `ZipIndex` for each member.

    Raises:
        ValueError: There is something else.
    """
    at = 0
    while at < len(entries):
        (start, _, system, _, flags, method, _, _, checksum, length, size, name_length, extra_length, comment_length, _, _,
         attributes, offset) = ENTRY.unpack_from(entries, at)  # fmt: skip
        if start != ENTRY_START:
            raise ValueError("its list of members is damaged")
        at += ENTRY.size
        name = entries[at : at + name_length]
        if FULL in (length, size, offset):
            size, length, offset = zip64(entries[at + name_length : at + name_length + extra_length], (size, length, offset))
        at += name_length + extra_length + comment_length
        is_link = system == UNIX and stat.S_ISLNK(attributes >> 16)
        yield in_utf_8(name, flags, system), is_link, offset + base, length, size, method, flags, checksum


def zip64(extra: bytes, numbers: tuple[int, int, int]) -> list[int]:
    """Replaces the numbers that do not fit into an entry by those in its field 1."""
    at = 0
    while at < len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            large = iter(struct.unpack_from(f"<{min(length // 8, 3)}Q", extra, at + 4))
            try:
                return [next(large) if number == FULL else number for number in numbers]
            except StopIteration as error:
                raise ValueError("its list of members is damaged") from error
        at += 4 + length
    return list(numbers)


def in_utf_8(name: bytes, flags: int, system: int) -> bytes:
    """A name in UTF-8: many programs write that without a flag; otherwise it is in the PC's old characters."""
    if system == DOS and b"\\" in name:  # from Windows programs that do not keep to the standard
        name = name.replace(b"\\", b"/")
    if not flags & UTF_8 and not name.isascii():
        try:
            name.decode()
        except UnicodeDecodeError:
            return name.decode("cp437").encode()
    return name
