"""Opens zip archives that anybody may have written: `.keras` files, PyTorch's, and the records appended to `.tflite` files."""

import collections
import contextlib
import io
import math
import os
import struct
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO

from keras_resnet.errors import UserError, comma_join
from keras_resnet.foreign_files import check_is_file, library_errors, open_file
from keras_resnet.positioned_file import PositionedFile

MAX_DIRECTORY = 16 << 20  # bytes of the list of members; each takes about a hundred
MAX_EXPANSION = 20  # of what is compressed, beyond the first `FREE_BYTES`; weights hardly compress
FREE_BYTES = 64 << 20
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}  # what Keras and PyTorch write and read
ENCRYPTED = 0x1  # of a member's flags
PIECE = 1 << 20  # bytes
HEADER = struct.Struct("<4s5H3L2H")  # a member's own: signature ... length of its name, length of what else stands before it


class BoundedReader(io.BufferedReader):
    """A file that is read in pieces: a zip's end can claim that its list of members is as long as the file."""

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(MAX_DIRECTORY + 1 if size is None or size < 0 else min(size, MAX_DIRECTORY + 1))
        if len(content) > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its list of members has more than {MAX_DIRECTORY >> 20} MB")
        return content


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file ends as zip archives do.

    Raises:
        UserError: if it may not be read.
    """
    if not os.path.isfile(path):
        return False
    check_is_file(path)
    return zipfile.is_zipfile(path)


@contextlib.contextmanager
def open_archive(path: str | os.PathLike[str], max_bytes: float = math.inf) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive whose members can be read without a password, in bounded memory, and are what they claim.

    Args:
        path: of a file that is a zip archive, or ends in one.
        max_bytes: what all members may have together, unpacked.

    Raises:
        UserError: if it is not such an archive. Checksums are compared when members are read, see `check_content`.
    """
    with open_file(path) as file, contextlib.ExitStack() as stack:
        with library_errors(path):
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(BoundedReader(file.raw))))
        check_members(path, archive.infolist(), os.path.getsize(path), max_bytes)
        yield archive


def check_members(path: str | os.PathLike[str], members: Sequence[zipfile.ZipInfo], file_bytes: int, max_bytes: float) -> None:
    """Raises a `UserError` for members that cannot be read, or of which a reader may take another than is meant."""
    names = collections.Counter(member.filename for member in members)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"{path} has several members of one name, {comma_join(map(repr, twice), 3)}: it may be damaged")
    for member in members:
        if member.flag_bits & ENCRYPTED:
            raise UserError(f"{path} is encrypted, in {member.filename!r}: unpack it and save the model again")
        if member.compress_type not in METHODS:
            raise UserError(
                f"{path} is compressed by method {member.compress_type}, in {member.filename!r}; "
                f"only {comma_join(METHODS.values())} members can be read"
            )
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise UserError(
                f"{path} claims that {member.filename!r} has {member.file_size:,} bytes, "
                f"of which it stores {member.compress_size:,}: it may be damaged"
            )
    total = sum(member.file_size for member in members)
    if sum(member.compress_size for member in members) > file_bytes:
        raise UserError(f"{path} has members that overlap: it may be damaged")
    if total > MAX_EXPANSION * file_bytes + FREE_BYTES:
        raise UserError(f"{path} has {file_bytes:,} bytes and claims to unpack to {total:,}: it may be damaged")
    if total > max_bytes:
        raise UserError(f"{path} unpacks to {total:,} bytes, more than the {int(max_bytes):,} that are read")


def check_content(path: str | os.PathLike[str], archive: zipfile.ZipFile) -> None:
    """Raises a `UserError` unless all members have the checksums that the archive gives for them."""
    with library_errors(path):
        if (bad := archive.testzip()) is not None:
            raise UserError(f"{path} is damaged: {bad!r} does not have its checksum; download or copy the file again")


def read_member(path: str | os.PathLike[str], archive: zipfile.ZipFile, name: str, max_bytes: float = math.inf) -> bytes:
    """Reads one member of an archive, whose checksum is compared.

    Raises:
        UserError: if it is longer than `max_bytes`, or damaged.
    """
    size = archive.getinfo(name).file_size
    if size > max_bytes:
        raise UserError(f"{path} has {size:,} bytes in {name!r}; more than {int(max_bytes):,} are not read")
    with library_errors(path), archive.open(name) as file:
        return b"".join(iter(lambda: file.read(PIECE), b""))


@contextlib.contextmanager
def open_member(path: str | os.PathLike[str], archive: zipfile.ZipFile, name: str) -> Iterator[io.BufferedIOBase]:
    """Opens one member for reading at any place: in its archive if it is stored there as it is, else unpacked in memory."""
    member = archive.getinfo(name)
    if member.compress_type == zipfile.ZIP_STORED:
        with library_errors(path):
            archive.open(member).close()  # compares the member's own header with the archive's list
        with open_file(path) as file, io.BufferedReader(StoredMember(file, member)) as opened:
            yield opened
    else:
        with io.BytesIO(read_member(path, archive, name)) as opened:
            yield opened


class StoredMember(PositionedFile):
    """The bytes of a member that is not compressed, as a file of its own: `ZipExtFile` goes back by reading all again."""

    def __init__(self, file: IO[bytes], member: zipfile.ZipInfo) -> None:
        super().__init__(member.file_size)
        file.seek(member.header_offset)
        header = file.read(HEADER.size)
        *_, name_length, extra_length = HEADER.unpack(header)
        self._file, self._start = file, member.header_offset + HEADER.size + name_length + extra_length

    def read_at(self, position: int, count: int) -> bytes:
        self._file.seek(self._start + position)
        return self._file.read(count)
