"""Folders of parquet files with encoded images, as Hugging Face's data sets are stored."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_resnet.errors import UserError, comma_join
from keras_resnet.foreign_files import library_errors

from ..binary_files import is_folder, open_binary
from ..labels import UNLABELED, Classes, classes_of, is_labeled, no_labels
from ..listing import Listing, check_class_names, in_order
from ..packed_strings import PackedStrings
from .parquet_columns import PARQUET_LABEL_COLUMNS, Columns, columns_of, other_labels
from .parquet_files import files_by_split
from .parquet_records import ParquetRecords, RowGroup, RowGroupCache, open_parquet, pyarrow_parquet

LFS_POINTER = b"version https://git-lfs"


class Table(NamedTuple):
    """What a file has, but for its images.

    Attributes:
        columns: Where images and classes are.
        groups: Its row groups that have rows.
        labels: An arrow array of text, with nulls (N,).
        paths: The images' paths, an arrow array of text with nulls (N,); None if there is no such column.
    """

    columns: Columns
    groups: list[RowGroup]
    labels: Any
    paths: Any | None


def list_parquet(path: str | os.PathLike[str]) -> Listing:
    """Lists the images of a parquet file, or of those in a folder and below. Its notes name what is not used."""
    pyarrow_parquet()
    root = os.fspath(path)
    notes: list[str] = []
    splits = files_by_split(root, notes)
    tables = {file: read_table(file) for files in splits.values() for file in files}
    columns = common_columns(tables)
    notes += other_labels(root, columns)
    groups = [group for table in tables.values() for group in table.groups]
    if not groups:
        raise UserError(f"{root} has no rows in its parquet files")
    codes, classes = labels_of(tables, columns)
    check_class_names(root, classes.names)
    folder = os.path.join(root if is_folder(root) else os.path.dirname(root), "")
    records = ParquetRecords.of(RowGroupCache(groups, columns.content), packed_names(tables), folder)
    listed, start = {}, 0
    for split, files in splits.items():
        rows = slice(start, start := start + sum(len(tables[file].labels) for file in files))
        of_split = records.take(rows) if are_names([tables[file] for file in files]) else records.unnamed().take(rows)
        if not len(of_split):
            continue
        if is_labeled(root, split, codes[rows], of_split.location):
            listed[split] = in_order(of_split, codes[rows])
        else:
            notes.append(no_labels(root, split))
    return Listing(classes.names, listed, tuple(notes))


def read_table(path: str) -> Table:
    """Reads everything but the images of a file.

    Raises:
        UserError: It is not a parquet file with images.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    with library_errors(path, "cannot be read as a parquet file, it may be incomplete"):
        with open_binary(path) as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise UserError(f"{path} is a Git LFS pointer; `git lfs pull` fetches the file")
        with open_parquet(path) as file:
            columns = columns_of(path, file.schema_arrow)
            groups = row_groups(path, file.metadata, columns)
            wanted = [columns.label] if columns.label else []
            wanted += [f"{columns.image}.path"] if columns.has_path else []
            table = file.read(columns=wanted)
            rows = file.metadata.num_rows
        labels = pa.nulls(rows, pa.string())
        if columns.label and not pa.types.is_null(table.column(columns.label).type):
            labels = pc.cast(table.column(columns.label), pa.string())
        paths = table.column(columns.image).flatten()[0] if columns.has_path else None
    return Table(columns, groups, labels, paths)


def row_groups(path: str, metadata: Any, columns: Columns) -> list[RowGroup]:
    """Returns the row groups of a file that have rows.

    Raises:
        UserError: They have the paths of images instead of their bytes.
    """
    groups, empty = [], True
    leaf = [metadata.schema.column(number).path for number in range(metadata.num_columns)].index(columns.content)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        content = group.column(leaf)
        nulls = content.statistics.null_count if content.statistics and content.statistics.has_null_count else 0
        empty = empty and nulls == group.num_rows
        if group.num_rows:
            groups.append(RowGroup(path, number, group.num_rows, content.total_uncompressed_size))
    if empty and groups:
        beside = ", only their paths: embed the images, or list them in a CSV file" if columns.has_path else ""
        raise UserError(f"{path} has no images in its column {columns.image}{beside}")
    return groups


def common_columns(tables: Mapping[str, Table]) -> Columns:
    """Returns the columns that all files have; a file may lack labels, as those of test splits do.

    Raises:
        UserError: They differ, or no file has labels.
    """
    labeled = next((path for path, table in tables.items() if table.columns.label), None)
    first = labeled or next(iter(tables))
    expected = tables[first].columns
    for path, table in tables.items():
        columns = table.columns
        for what, own, others in (
            ("images", columns.content, expected.content),
            ("labels", columns.label or expected.label, expected.label),
            ("class names", columns.class_names if columns.label else expected.class_names, expected.class_names),
        ):
            if own != others:
                raise UserError(f"{path} has other {what} than {first}: {shown(own)}, not {shown(others)}")
    if labeled is None:
        names = comma_join(PARQUET_LABEL_COLUMNS)
        raise UserError(f"{first} has the columns {expected.all_names}; it must have one with the classes ({names})")
    return expected


def shown(value: object) -> str:
    return comma_join(value, 5) if isinstance(value, tuple) else "none" if value is None else str(value)


def labels_of(tables: Mapping[str, Table], columns: Columns) -> tuple[np.ndarray, Classes]:
    """Returns the labels of all rows, int64 (N,), UNLABELED where there is none, and their classes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def locate(value: str) -> str:
        for path, table in tables.items():
            if (row := pc.index(table.labels, pa.scalar(value, table.labels.type)).as_py()) >= 0:
                return f"{path} has in row {row}"
        raise AssertionError

    chunks = pa.chunked_array([chunk for table in tables.values() for chunk in chunks_of(table.labels)], pa.string())
    encoded = chunks.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    values = encoded.dictionary.to_pylist()
    classes = classes_of(values, locate, columns.class_names)
    indices = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.array([*(classes.labels[value] for value in values), UNLABELED], np.int64)[indices], classes


def chunks_of(array: Any) -> Sequence[Any]:
    return array.chunks if hasattr(array, "chunks") else [array]


def are_names(tables: Sequence[Table]) -> bool:
    """Whether the paths of a split's images tell them apart."""
    import pyarrow as pa

    if any(table.paths is None or table.paths.null_count for table in tables):
        return False
    paths = pa.chunked_array([chunk for table in tables for chunk in chunks_of(table.paths)], pa.string())
    return len(paths.unique()) == len(paths)


def packed_names(tables: Mapping[str, Table]) -> PackedStrings:
    """Returns the paths of all images; "" for those that have none."""
    parts = []
    for table in tables.values():
        paths = (path for chunk in table.paths.chunks for path in chunk.to_pylist()) if table.paths is not None else ()
        parts.append(PackedStrings.of((path or "").encode() for path in paths or [""] * len(table.labels)))
    return PackedStrings.joined(parts)
