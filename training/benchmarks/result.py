"""What the training benchmark measured: as a table, in words, and as a record for a file."""

import dataclasses
import statistics
from collections.abc import Iterator
from typing import Any

from keras_resnet.benchmarks.result import Table, failure_notes, interleaving_note, machine, without_empty_columns
from keras_resnet.benchmarks.runner import Entry

from .config import BenchmarkConfig
from .session import Measurement, StartInfo

FORWARD_AND_BACKWARD = 3  # forward once, and backward about twice as much
UNITS = {"input": "images/s", "train": "images/s", "fit": "images/s", "build": "seconds to build", "start": "seconds"}
FIRST = {"input": "first batch, s", "train": "first step, s", "fit": "first epoch, s", "build": "first, s", "start": "first, s"}
IN_SECONDS = ("build", "start")  # tasks whose values are seconds


@dataclasses.dataclass
class TrainingEntry(Entry):
    """One candidate.

    key: of `CANDIDATES`. values: one per round, in `UNITS`. first_step: seconds to its end. macs: multiply-adds per image.
    steps: per measurement. notes: lines of its own below the table.
    """

    key: str
    values: list[float] = dataclasses.field(default_factory=list)
    first_step: float | None = None
    macs: int | None = None
    steps: int | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    def set_start(self, info: StartInfo) -> None:
        self.first_step, self.macs, self.versions = info["seconds"], info.get("macs"), info.get("versions", {})
        self.notes = info.get("notes", [])

    def add(self, measurement: Measurement, config: BenchmarkConfig) -> None:
        seconds, self.steps = measurement["seconds"], measurement["steps"]
        self.values.append(seconds if config.task in IN_SECONDS else self.steps * config.batch_size / seconds)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """entries: ours first. matmul_peak: the machine's best speed, in operations per second."""

    config: BenchmarkConfig
    entries: tuple[TrainingEntry, ...]
    matmul_peak: float | None

    def ratios(self, entry: TrainingEntry) -> list[float]:
        """Returns how many times faster ours was than `entry`, round by round."""
        pairs = zip(self.entries[0].values, entry.values, strict=False)  # an entry that failed has fewer
        return [theirs / ours if self.config.task in IN_SECONDS else ours / theirs for ours, theirs in pairs]

    def peak_fraction(self, entry: TrainingEntry) -> float | None:
        """Returns the entry's speed as a fraction of the machine's matrix multiplication."""
        macs = entry.macs or self.entries[0].macs  # PyTorch has the same network
        if entry.failure or not (self.matmul_peak and macs):
            return None
        return FORWARD_AND_BACKWARD * 2 * macs * statistics.median(entry.values) / self.matmul_peak

    def table(self) -> Table:
        task = self.config.task
        columns = ("", UNITS[task], "ours is", "smallest", "largest", FIRST[task], "memory, MB", "of peak")
        return without_empty_columns(columns, [self._row(entry) for entry in self.entries])

    def _row(self, entry: TrainingEntry) -> list[str]:
        if entry.failure:
            return [entry.title, "failed", *[""] * 6]
        ratios = [] if entry is self.entries[0] else self.ratios(entry)
        faster = [f"{f(ratios):.2f}x" if ratios else "" for f in (statistics.median, min, max)]
        fraction = self.peak_fraction(entry)
        return [
            entry.title,
            f"{statistics.median(entry.values):.4g}",
            *faster,
            f"{entry.first_step:.1f}",
            f"{entry.peak_memory:,.0f}",
            "" if fraction is None else f"{fraction:.0%}",
        ]

    def notes(self) -> Iterator[str]:
        """Yields the lines below the table."""
        yield from failure_notes(self.entries)
        yield f"{self.config}; {interleaving_note(self.config.rounds)}; ratios are taken within a round"
        if self.matmul_peak:
            speed = f"{self.matmul_peak / 1e9:,.0f} GFLOP/s"
            yield f"of peak: of {speed}, this machine's float32 matrix multiplication; backward counts as two forward passes"
        for entry in self.entries:
            yield from entry.notes
        yield from self._fast_input()
        yield from self._start()
        yield machine(self.entries)

    def _fast_input(self) -> Iterator[str]:
        """Yields how our input with the settings of others compares with theirs."""
        measured = {entry.key: entry for entry in self.entries if not entry.failure}
        for key in ("per_image", "torchvision") if "fast" in measured else ():
            if key in measured:
                ratios = [ours / theirs for ours, theirs in zip(measured["fast"].values, measured[key].values, strict=True)]
                yield f"{measured['fast'].title} is {statistics.median(ratios):.2f}x {measured[key].title}"

    def _start(self) -> Iterator[str]:
        """Yields how much longer the start with very many images takes, and how much more memory for each."""
        if self.config.task == "start" and len(self.entries) == 2 and not any(entry.failure for entry in self.entries):
            ours, digits = self.entries
            later = [one - other for one, other in zip(ours.values, digits.values, strict=True)]
            memory = 1e6 * ((ours.peak_memory or 0) - (digits.peak_memory or 0)) / self.config.images
            yield (
                f"the first step comes {statistics.median(later):.1f} s later ({min(later):.1f} to {max(later):.1f}) than with "
                f"the digits, and {memory:.0f} bytes of memory more are taken for each image"
            )

    def record(self) -> dict[str, Any]:
        """Returns what goes to a JSON file. ours, stock, ratios: the values of these two and their ratios, round by round."""
        entries = [
            {**dataclasses.asdict(entry), "ratios": self.ratios(entry), "peak_fraction": self.peak_fraction(entry)}
            for entry in self.entries
        ]
        record = {"config": dataclasses.asdict(self.config), "unit": UNITS[self.config.task], "machine": machine(self.entries)}
        record |= {"matmul_peak": self.matmul_peak, "candidates": entries, "ours": self.entries[0].values}
        for entry in self.entries:
            if entry.key == "stock":
                record |= {"stock": entry.values, "ratios": self.ratios(entry)}
        return record
