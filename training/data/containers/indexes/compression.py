"""Archives and shards that are compressed as a whole, in which no image can be read without all that stand before it."""

import os
import shlex
from typing import BinaryIO, NamedTuple

from keras_resnet.errors import UserError

ZIP_START = b"PK\3\4"


class Compression(NamedTuple):
    """A row. start: the first bytes. suffixes: of files that the command unpacks to the same name without it."""

    name: str
    start: bytes
    suffixes: tuple[str, ...]
    command: str


# fmt: off
COMPRESSIONS = (
    Compression("gzip",     b"\x1f\x8b",         (".gz", ".tgz"),           "gunzip"),
    Compression("bzip2",    b"BZh",              (".bz2", ".tbz2", ".tbz"), "bunzip2"),
    Compression("xz",       b"\xfd7zXZ\0",       (".xz", ".txz"),           "unxz"),
    Compression("zstd",     b"\x28\xb5\x2f\xfd", (".zst", ".tzst"),         "unzstd"),
    Compression("lz4",      b"\x04\x22\x4d\x18", (".lz4",),                 "unlz4"),
)
# fmt: on


def check_is_not_compressed(path: str, file: BinaryIO, kind: str) -> None:
    """Raises a `UserError` with the command that unpacks a compressed file; leaves the file at its start.

    Args:
        path: Of the file, for the message.
        file: The file.
        kind: "tar" or "tfrecord": what it should be, unpacked.
    """
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    for compression in COMPRESSIONS:
        if start.startswith(compression.start):
            raise UserError(
                f"{path} is compressed by {compression.name}, so its images cannot be read in any order: "
                f"`{unpacking(path, compression, kind)}` first"
            )
    if start.startswith(ZIP_START) and kind == "tar":
        raise UserError(f"{path} is a zip archive: use --dataset=zip")


def unpacking(path: str, compression: Compression, kind: str) -> str:
    """The command that unpacks a file: beside it, and under a name that is not the file's own."""
    stem, suffix = os.path.splitext(path)
    if suffix in compression.suffixes:
        return f"{compression.command} -k {shlex.quote(path)}"
    return f"{compression.command} -c < {shlex.quote(path)} > {shlex.quote(f'{stem}.unpacked.{kind}')}"
