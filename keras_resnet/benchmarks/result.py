"""How results of either benchmark are shown: tables, failures, and the machine that they were measured on."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from keras_resnet.environment import cores

from .runner import Entry

Table = tuple[list[str], list[list[Any]]]  # columns and rows


def without_empty_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Drops the columns in which no row has anything."""
    used = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    return [columns[index] for index in used], [[row[index] for index in used] for row in rows]


def failure_notes(entries: Iterable[Entry]) -> Iterator[str]:
    """Yields one line per title that failed, with the reason."""
    failures = {entry.title: entry.failure for entry in entries if entry.failure}
    yield from (f"{title}: {failure}" for title, failure in failures.items())


def interleaving_note(rounds: int) -> str:
    return f"{rounds} interleaved {'round' if rounds == 1 else 'rounds'}, each candidate in a process of its own"


def machine(entries: Iterable[Entry]) -> str:
    """Returns the versions of all entries' libraries, the processor's architecture and the number of cores."""
    versions = {name: version for entry in entries for name, version in entry.versions.items()}
    return ", ".join([*map(" ".join, versions.items()), platform.machine(), f"{cores()} cores"])
