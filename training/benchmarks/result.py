"""What was measured: as a table, in words, and as a record for a file."""

import dataclasses
import statistics

from keras_resnet.benchmarks.machine import machine

from .config import BenchmarkConfig

BACKWARD = 3  # forward once, and backward about twice as much
UNITS = {"input": "images/s", "train": "images/s", "fit": "images/s", "build": "seconds to build"}
FIRST = {"input": "first batch, s", "train": "first step, s", "fit": "first epoch, s", "build": "first, s"}


@dataclasses.dataclass
class Entry:
    """Of one contestant: a figure a round; seconds to the first step; megabytes; or why there is none of it."""

    key: str
    title: str
    figures: list = dataclasses.field(default_factory=list)
    first_step: float | None = None
    peak_memory: float | None = None
    macs: int | None = None
    versions: dict = dataclasses.field(default_factory=dict)
    steps: int | None = None
    failure: str = ""

    def note_facts(self, facts):
        self.first_step, self.macs, self.versions = facts["seconds"], facts["macs"], facts["versions"]

    def note(self, measured, config):
        seconds, self.steps = measured["seconds"], measured["steps"]
        self.figures.append(seconds if config.task == "build" else self.steps * config.batch_size / seconds)


@dataclasses.dataclass(frozen=True)
class Result:
    """entries: ours first. matrix_multiply: the machine's best, in operations per second."""

    config: BenchmarkConfig
    entries: tuple
    matrix_multiply: float | None

    def ratios(self, entry):
        """How many times faster ours was than `entry`, round by round."""
        pairs = zip(self.entries[0].figures, entry.figures, strict=False)  # one that failed has less
        return [theirs / ours if self.config.task == "build" else ours / theirs for ours, theirs in pairs]

    def share(self, entry):
        """Of the machine's matrix multiplication."""
        macs = entry.macs or self.entries[0].macs  # PyTorch has the same network
        if entry.failure or not (self.matrix_multiply and macs):
            return None
        return BACKWARD * 2 * macs * statistics.median(entry.figures) / self.matrix_multiply

    def table(self):
        """(columns, rows); without the columns in which nobody has anything."""
        task = self.config.task
        columns = ("", UNITS[task], "ours is", "smallest", "largest", FIRST[task], "memory, MB", "of peak")
        rows = [self._row(entry) for entry in self.entries]
        used = [index for index in range(len(columns)) if any(row[index] for row in rows)]
        return [columns[index] for index in used], [[row[index] for index in used] for row in rows]

    def _row(self, entry):
        if entry.failure:
            return [entry.title, "failed", *[""] * 6]
        ratios = [] if entry is self.entries[0] else self.ratios(entry)
        faster = [f"{f(ratios):.2f}x" if ratios else "" for f in (statistics.median, min, max)]
        share = self.share(entry)
        return [
            entry.title,
            f"{statistics.median(entry.figures):.4g}",
            *faster,
            f"{entry.first_step:.1f}",
            f"{entry.peak_memory:,.0f}",
            "" if share is None else f"{share:.0%}",
        ]

    def notes(self):
        """Lines to go below the table."""
        yield from (f"{entry.title}: {entry.failure}" for entry in self.entries if entry.failure)
        yield f"{self.config}; {self.config.rounds} rounds in turns, each in a process of its own; ratios are within a round"
        if self.matrix_multiply:
            speed = f"{self.matrix_multiply / 1e9:,.0f} GFLOP/s"
            yield f"of peak: of {speed}, float32 matrix multiplication here; backward counts as two forward passes"
        yield machine(self.entries)

    def record(self):
        """For JSON. ours, stock, ratios: the figures of the first two, round by round."""
        entries = [
            {**dataclasses.asdict(entry), "ratios": self.ratios(entry), "share": self.share(entry)} for entry in self.entries
        ]
        record = {"config": dataclasses.asdict(self.config), "unit": UNITS[self.config.task], "machine": machine(self.entries)}
        record |= {"matrix_multiply": self.matrix_multiply, "contestants": entries, "ours": self.entries[0].figures}
        for entry in self.entries:
            if entry.key == "stock":
                record |= {"stock": entry.figures, "ratios": self.ratios(entry)}
        return record
