"""Images in parquet files, by index. What is read at once is a row group: those read last stay in memory."""

import collections
import concurrent.futures
import dataclasses
import errno
import functools
import os
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from keras_resnet.errors import UserError, first_line, print_message
from keras_resnet.remote import is_remote

from ...memory import available_memory, format_bytes
from ..binary_files import open_binary
from ..packed_strings import PackedStrings
from ..records import DamagedRecordError

MEMORY_FRACTION = 0.25  # of the available memory, for row groups


def pyarrow_parquet() -> Any:
    """Imports `pyarrow.parquet`.

    Raises:
        UserError: It is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("parquet files need pyarrow: pip install 'keras-resnet-zoo[parquet]'") from error
    return pyarrow.parquet


def open_parquet(path: str) -> Any:
    """Opens a `pyarrow.parquet.ParquetFile`, to be used by one thread."""
    parquet = pyarrow_parquet()
    import pyarrow as pa

    file = open_binary(path) if is_remote(path) else pa.OSFile(path, "rb")
    return parquet.ParquetFile(file, page_checksum_verification=True)


class RowGroup(NamedTuple):
    """Rows of a file that are read at once. number: in the file. rows: how many. size: of their images, in bytes."""

    path: str
    number: int
    rows: int
    size: int


class RowGroupCache:
    """The images of the row groups that were read last, for any number of threads, of which one reads a group that all want.

    Args:
        limit: How many bytes to keep; by default a quarter of the memory that is available at the first reading.
    """

    def __init__(self, groups: Sequence[RowGroup], column: str, limit: int | None = None) -> None:
        self.groups, self._column, self._limit = groups, column, limit
        self._lock = threading.Lock()
        self._read: collections.OrderedDict[int, concurrent.futures.Future[Any]] = collections.OrderedDict()
        self._sizes: dict[int, int] = {}
        self._reported = False

    @functools.cached_property
    def limit(self) -> int:
        return int(MEMORY_FRACTION * available_memory()) if self._limit is None else self._limit

    def get(self, number: int) -> Any:
        """Returns the images of a row group, an arrow array of bytes.

        Raises:
            DamagedRecordError: They cannot be read, today or tomorrow.
            OSError: They cannot be read now.
        """
        with self._lock:
            future = self._read.get(number)
            if mine := future is None:
                future = self._read[number] = concurrent.futures.Future()
            self._read.move_to_end(number)
        if mine:
            try:
                images = read_images(self.groups[number], self._column)
            except BaseException as error:
                with self._lock:
                    del self._read[number]
                future.set_exception(error)
                raise
            self._keep(number, images.nbytes)
            future.set_result(images)
        return future.result()

    def _keep(self, number: int, size: int) -> None:
        """Forgets the row groups that were not asked for the longest, but for this one, until the others fit."""
        with self._lock:
            self._sizes[number] = size
            for other in list(self._read):
                if sum(self._sizes.values()) <= self.limit:
                    break
                if other != number and self._sizes.pop(other, None) is not None:
                    del self._read[other]
                    self._report_eviction()

    def _report_eviction(self) -> None:
        """Says once that not all images fit, and what that costs."""
        if not self._reported:
            self._reported = True
            size, rows = sum(group.size for group in self.groups), sum(group.rows for group in self.groups)
            print_message(
                f"the images in {os.path.dirname(self.groups[0].path) or 'this folder'} take {format_bytes(size)}, and "
                f"{format_bytes(self.limit)} of them stay in memory: in a random order, a row group of about "
                f"{max(1, rows // len(self.groups))} images is read for one; docs/data.md says what to do"
            )


def read_images(group: RowGroup, column: str) -> Any:
    """Reads the images of a row group, an arrow array of bytes."""
    import pyarrow as pa

    try:
        with open_parquet(group.path) as file:
            there = file.metadata.num_row_groups > group.number
            if not there or file.metadata.row_group(group.number).num_rows != group.rows:
                raise OSError(errno.EIO, "has changed since its rows were counted", group.path)
            images = file.read_row_group(group.number, columns=[column]).column(0)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedRecordError(f"row group {group.number} of its file cannot be read: {first_line(error)}") from error
    return images.flatten()[0] if pa.types.is_struct(images.type) else images


@dataclasses.dataclass(frozen=True, eq=False)
class ParquetRecords:
    """Images in the rows of parquet files.

    Attributes:
        cache: The row groups of all files, none of them empty, which all `take`n records share.
        starts: int64 (groups,), the number of rows in the groups before each.
        names: The name of each row of all files; None if they are named by their positions.
        root: The folder that positions leave out in their names, with a "/" at its end.
        rows: int64 (N,), which of the rows of all files these images are.
    """

    cache: RowGroupCache
    starts: np.ndarray
    names: PackedStrings | None
    root: str
    rows: np.ndarray

    @classmethod
    def of(cls, cache: RowGroupCache, names: PackedStrings | None, root: str) -> Self:
        """Makes records of all rows."""
        ends = np.cumsum([group.rows for group in cache.groups], dtype=np.int64)
        return cls(cache, np.concatenate([[0], ends[:-1]]), names, root, np.arange(ends[-1]))

    def __len__(self) -> int:
        return len(self.rows)

    def position(self, index: int) -> tuple[int, int]:
        """Returns the position of a row group in the cache, and that of a row in the group."""
        row = self.rows[index]
        group = int(np.searchsorted(self.starts, row, "right")) - 1
        return group, int(row - self.starts[group])

    def name(self, index: int) -> str:
        if self.names is not None:
            return os.fsdecode(self.names[self.rows[index]])
        number, row = self.position(index)
        path, first = self.cache.groups[number].path, number
        while first and self.cache.groups[first - 1].path == path:
            first -= 1
        return f"{path.removeprefix(self.root)}[{self.starts[number] - self.starts[first] + row}]"

    def location(self, index: int) -> str:
        number, row = self.position(index)
        group = self.cache.groups[number]
        return f"{group.path}: row {row} of row group {group.number}"

    def read(self, index: int) -> bytes:
        number, row = self.position(index)
        content = self.cache.get(number)[row]
        if not content.is_valid:
            raise DamagedRecordError("has no image")
        return content.as_buffer().to_pybytes()

    def unnamed(self) -> Self:
        """Returns the same records, named by their positions."""
        return dataclasses.replace(self, names=None)

    def take(self, rows: np.ndarray | slice) -> Self:
        return dataclasses.replace(self, rows=self.rows[rows])

    def total_bytes(self, limit: int) -> int:
        """Returns how many bytes the images have: of a part of a row group, that part of its bytes."""
        per_row = np.array([group.size / group.rows for group in self.cache.groups])
        return int(per_row[np.searchsorted(self.starts, self.rows, "right") - 1].sum())
