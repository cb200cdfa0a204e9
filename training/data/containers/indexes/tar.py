"""The members of a tar archive, and where their content lies, without reading it."""

import dataclasses
import os
import tarfile
from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import BinaryIO

import numpy as np

from keras_resnet.errors import UserError, first_line

from ..binary_files import open_binary, version_of
from ..packed_strings import PackedStrings, StringPacker
from .compression import check_is_not_compressed
from .shard_index import Index, cached_index, pack, unpack

MEMBERS_KEPT = 1000  # by `tarfile`, which would keep all: a kilobyte each


class Kind(IntEnum):
    """What a member is."""

    FILE, FOLDER, LINK, SPARSE, SPECIAL = range(5)


@dataclasses.dataclass(frozen=True, eq=False)
class TarIndex:
    """The members of an archive, in their order.

    Attributes:
        names: As the archive has them.
        kinds: uint8 (N,), of `Kind`.
        offsets, lengths: int64 (N,), of a file's bytes.
        targets: The names of the members that the N' links point to, in their order, from the top of the archive.
        end: Why the archive is damaged after the last of these members; "" for a whole one.
    """

    names: PackedStrings
    kinds: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    targets: PackedStrings
    end: str


def index_tar(path: str) -> TarIndex:
    """Lists an archive, or takes the list from the cache.

    Raises:
        UserError: It is no tar archive, or a compressed one.
    """
    index = cached_index(path, "tar", read_members)
    names, targets = unpack(index, "names"), unpack(index, "targets")
    end = index["end"].tobytes().decode()
    return TarIndex(names, index["kinds"], index["offsets"], index["lengths"], targets, end)


def read_members(path: str) -> Index:
    """Goes through an archive, from header to header."""
    size = version_of(path).size
    names, kinds, offsets, lengths, targets = StringPacker(), array("B"), array("q"), array("q"), StringPacker()
    with open_binary(path) as file:
        check_is_not_compressed(path, file, "tar")
        end = ""
        try:
            for member in members_of(file, size):
                kind = kind_of(member)
                names.append(encode(member.name))
                kinds.append(kind)
                offsets.append(member.offset_data)
                lengths.append(member.size)
                if kind == Kind.LINK:
                    targets.append(encode(target_of(member)))
        except tarfile.TarError as error:
            if not names:
                raise UserError(f"{path} is not a tar archive, or a damaged one: {first_line(error)}") from error
            end = first_line(error)
    arrays = {"kinds": np.array(kinds, np.uint8), "offsets": np.array(offsets), "lengths": np.array(lengths)}
    packed = pack("names", names.packed()) | pack("targets", targets.packed())
    return packed | arrays | {"end": np.frombuffer(end.encode(), np.uint8)}


def members_of(file: BinaryIO, size: int) -> Iterator[tarfile.TarInfo]:
    """Yields the members; `tarfile` alone takes a damaged header in the middle for the archive's end.

    Raises:
        tarfile.TarError: There is something else where a member, or the end, must be.
    """
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        while True:
            start = archive.offset
            try:
                member = archive.next()
            except tarfile.ReadError as error:
                raise tarfile.ReadError(f"it ends at byte {size:,}, inside a member" if start > size else str(error)) from error
            except (ValueError, OverflowError, RecursionError) as error:  # for some numbers in headers
                raise tarfile.ReadError(f"it has a damaged header at byte {start:,}") from error
            if member is None:
                break
            if member.size < 0 or archive.offset <= member.offset:
                raise tarfile.ReadError(f"it has a damaged header at byte {start:,}")
            yield member
            members: list[tarfile.TarInfo] = getattr(archive, "members")  # noqa: B009  which types of `tarfile` do not name
            if len(members) > MEMBERS_KEPT:
                members.clear()
        file.seek(start)
        block = file.read(tarfile.BLOCKSIZE)
        if block.strip(b"\0") or 0 < len(block) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"it has a damaged header at byte {start:,}")
        if not block:
            raise tarfile.ReadError(f"it ends at byte {size:,}, after a member, without the mark of its end")


def kind_of(member: tarfile.TarInfo) -> Kind:
    if member.isdir():
        return Kind.FOLDER
    if member.islnk() or member.issym():
        return Kind.LINK
    if member.issparse():
        return Kind.SPARSE
    return Kind.FILE if member.isreg() else Kind.SPECIAL


def target_of(member: tarfile.TarInfo) -> str:
    """The name of the member that a link points to: hard links name it from the top, symbolic ones from where they are."""
    if member.islnk():
        return member.linkname
    return os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname)).replace(os.sep, "/")


def encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
