"""Archives of a folder with images, tar and zip: CLASS/*.jpg or train/CLASS/*.jpg inside, as they are, without unpacking."""

import functools
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_resnet import foreign_files, images
from keras_resnet.errors import UserError, comma_join
from keras_resnet.remote import is_remote

from .archive_layout import Layout, decode, lay_out
from .binary_files import exists, is_folder, local_version, open_binary
from .folder import MAX_SUFFIXES_NAMED, missing_classes
from .folder_listing import SPECIAL, SUFFIXES, Unused
from .indexes.tar import Kind, TarIndex, index_tar
from .indexes.zip import ZipRecords, index_zip, read_member
from .listing import Listing, in_order
from .packed_strings import PackedStrings
from .records import DamagedRecordError, RangeRecords, Records

LINKS = "links"
BROKEN_LINKS = "links to what is no file in the archive"
SPARSE = "stored with holes (sparse)"
MAX_LINKS = 40  # from one to the next, as on Linux


def list_tar(path: str | os.PathLike[str]) -> Listing:
    """Lists a tar archive; what is not used is counted and named in its notes.

    Of several members with one name the last counts, as when they are unpacked. A link to a file in the archive is that file.
    """
    path = check_archive(path)
    index = index_tar(path)
    where, unused = location_of(path)
    rows = resolve_links(where, index, unused)
    for kind, reason in ((Kind.SPARSE, SPARSE), (Kind.SPECIAL, SPECIAL)):
        for row in np.flatnonzero(index.kinds == kind).tolist():
            unused.add(reason, where / decode(index.names[row]).strip("/"))
    damage = [f"{path} is damaged: {index.end}; what stands before it is used"] if index.end else []
    offsets, lengths = index.offsets[rows], index.lengths[rows]

    def is_image(row: int) -> bool:
        return begins_like_an_image(lambda: all_records(row).read(0))

    def all_records(row: int) -> RangeRecords:
        one = slice(row, row + 1)
        return RangeRecords.of([path], PackedStrings.of([index.names[row]]), np.zeros(1, np.int32), offsets[one], lengths[one])

    try:
        layout = lay_out(where, index.names, index.kinds == Kind.FOLDER, rows >= 0, is_image, unused)
    except UserError as error:
        raise UserError("; ".join([*damage, str(error)])) from error

    def records_of(keys: PackedStrings, members: np.ndarray) -> RangeRecords:
        return RangeRecords.of([path], keys, np.zeros(len(keys), np.int32), offsets[members], lengths[members])

    listing = listing_of(layout, index.names, records_of, where, unused)
    return listing._replace(notes=(*damage, *listing.notes))


def list_zip(path: str | os.PathLike[str]) -> Listing:
    """Lists a zip archive; what is not used is counted and named in its notes. Checksums are compared when images are read."""
    path = check_archive(path)
    index = index_zip(path)
    where, unused = location_of(path)
    is_folder = np.array([name.endswith(b"/") for name in index.names], bool)
    for row in np.flatnonzero(index.links).tolist():
        unused.add(LINKS, where / decode(index.names[row]).strip("/"))

    def is_image(row: int) -> bool:
        with open_binary(path) as file:
            return begins_like_an_image(functools.partial(read_member, file, index, row))

    layout = lay_out(where, index.names, is_folder, ~is_folder & ~index.links, is_image, unused)

    def records_of(keys: PackedStrings, members: np.ndarray) -> ZipRecords:
        return ZipRecords(
            path, keys, index._replace(names=PackedStrings.of(())), members, np.arange(len(keys)), local_version(path)
        )

    return listing_of(layout, index.names, records_of, where, unused)


def check_archive(path: str | os.PathLike[str]) -> str:
    """Returns the path of an archive.

    Raises:
        UserError: There is none, or a folder.
    """
    path = os.fspath(path)
    if not is_remote(path):
        foreign_files.check_is_file(path)
    elif is_folder(path) or not exists(path):
        problem = "is a folder" if exists(path) else "does not exist"
        raise UserError(f"data_dir is {path}, which {problem}; it must be an archive")
    return path


def location_of(path: str) -> tuple[Path, Unused]:
    """The archive as the folder in which its members lie, for messages."""
    where = Path(path.rpartition("/")[2] if is_remote(path) else path)
    return where, Unused(where)


def resolve_links(where: Path, index: TarIndex, unused: Unused) -> np.ndarray:
    """Returns int64 (N,), of each member the one that has its content; -1 for those without."""
    rows = np.where(index.kinds == Kind.FILE, np.arange(len(index.names)), -1)
    links = np.flatnonzero(index.kinds == Kind.LINK).tolist()
    if not links:
        return rows
    targets = {link: index.targets[i].strip(b"/").removeprefix(b"./") for i, link in enumerate(links)}
    wanted = {*targets.values()}
    found = {}
    for row in range(len(index.names)):  # the last of a name counts
        if (name := index.names[row].strip(b"/").removeprefix(b"./")) in wanted:
            found[name] = row
    for link in links:
        row = link
        for _ in range(MAX_LINKS):
            row = found.get(targets[row], -1) if row in targets else row
        if row < 0 or index.kinds[row] != Kind.FILE:
            unused.add(BROKEN_LINKS, where / decode(index.names[link]).strip("/"))
        else:
            rows[link] = row
    return rows


def begins_like_an_image(read: Callable[[], bytes]) -> bool:
    try:
        return images.is_image(io.BytesIO(read()))
    except DamagedRecordError:
        return True  # what it is is said when it is read


def listing_of(
    layout: Layout,
    names: PackedStrings,
    records_of: Callable[[PackedStrings, np.ndarray], Records],
    where: Path,
    unused: Unused,
) -> Listing:
    """Makes the records of the splits, whose names are the paths in the folder that was archived."""
    splits = {}
    for split, rows in layout.rows.items():
        keys = PackedStrings.of(key(names[row], layout.top) for row in map(int, rows))
        splits[split] = in_order(records_of(keys, rows), layout.labels[split])
    if not any(map(len, splits.values())):
        suffixes = comma_join(SUFFIXES, MAX_SUFFIXES_NAMED)
        raise UserError(f"{where} has no images ({suffixes}) in its {len(layout.class_names)} class folders")
    missing = missing_classes(layout.class_names, layout.folders, layout.roots, splits)
    return Listing(tuple(layout.class_names), splits, (*unused.lines(), *missing))


def key(name: bytes, top: str) -> bytes:
    """A member's name without "./", "//" and the folder in which everything lies."""
    if b"//" in name or b"./" in name or name.startswith(b"/"):
        name = b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))
    return name.removeprefix(top.encode("utf-8", "surrogateescape"))
