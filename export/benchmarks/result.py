"""What was measured: as a table, in words, and as a record for a file."""

import dataclasses
import statistics

import numpy as np

from keras_resnet.benchmarks.applications import application
from keras_resnet.benchmarks.machine import machine

from .config import LatencyConfig
from .files import OURS, File, failed
from .routes import ROUTES


@dataclasses.dataclass
class Entry:
    """One file with so many threads: the seconds of each inference, turn by turn, and what `Session.prepare` tells."""

    file: File
    threads: int
    turns: list = dataclasses.field(default_factory=list)
    bytes: int = 0
    load_seconds: float | None = None
    idle_memory: float | None = None
    peak_memory: float | None = None
    versions: dict = dataclasses.field(default_factory=dict)
    failure: str = ""

    def prepare(self, process, config):
        """Has the file loaded in its process."""
        self.bytes = self.file.bytes
        given = {"batch_size": config.batch_size, "steps": config.steps, "threads": self.threads}
        facts = process.call("prepare", format=self.file.format, path=str(self.file.path), **given)
        for name, value in facts.items():
            setattr(self, name, value)

    @property
    def title(self):
        return self.file.title

    @property
    def medians(self):
        """Milliseconds, turn by turn."""
        return [1000 * statistics.median(turn) for turn in self.turns]

    def latency(self, share):
        """The milliseconds that so great a share of all inferences stay below."""
        return 1000 * float(np.quantile(np.concatenate(self.turns), share))

    def record(self):
        record = {"route": self.file.route, "title": self.title, "format": self.file.format, "failure": self.failure}
        record |= {name: getattr(self, name) for name in ("threads", "bytes", "load_seconds", "idle_memory", "peak_memory")}
        if not self.failure:
            record |= {"median": self.latency(0.5), "p95": self.latency(0.95), "inferences": sum(map(len, self.turns))}
        return {**record, "rounds": self.medians}


@dataclasses.dataclass(frozen=True)
class Result:
    config: LatencyConfig
    entries: tuple

    def ratios(self, entry):
        """`{route: ratios}`: our latency over each other route's, turn by turn, with as many threads and in the same format.

        An artifact of another export is compared with the one of the same name.
        """
        if entry.file.route != OURS or entry.failure:
            return {}
        others = [other for other in self.entries if other.threads == entry.threads and comparable(entry.file, other.file)]
        return {
            other.file.route: [ours / theirs for ours, theirs in zip(entry.medians, other.medians, strict=True)]
            for other in others
            if not other.failure
        }

    def table(self):
        """(columns, rows); without the columns in which nobody has anything."""
        routes = {entry.file.route: ROUTES[entry.file.route].title for entry in self.entries if entry.file.route in ROUTES}
        routes |= {str(folder): str(folder) for folder in self.config.folders}
        columns = ["", "threads", "size, MB", "median, ms", "p95, ms", *(f"vs {title}" for title in routes.values())]
        columns += ["memory, MB", "model's, MB"]
        rows = [self._row(entry, routes) for entry in self.entries]
        used = [index for index in range(len(columns)) if any(row[index] for row in rows)]
        return [columns[index] for index in used], [[row[index] for index in used] for row in rows]

    def _row(self, entry, routes):
        if entry.failure:
            return [entry.title, entry.threads, "", "failed", "", *[""] * len(routes), "", ""]
        ratios = self.ratios(entry)
        return [
            entry.title,
            entry.threads,
            f"{entry.bytes / 1e6:.2f}",
            f"{entry.latency(0.5):.4g}",
            f"{entry.latency(0.95):.4g}",
            *(f"{statistics.median(ratios[route]):.2f}x" if route in ratios else "" for route in routes),
            f"{entry.peak_memory:,.0f}",
            f"{entry.peak_memory - entry.idle_memory:,.0f}",
        ]

    def notes(self):
        """Lines to go below the table."""
        failures = {entry.title: entry.failure for entry in self.entries if entry.failure}
        yield from (f"{title}: {failure}" for title, failure in failures.items())
        yield from (f"{name}: left out, for it failed its verification" for name in failed(self.config.output_dir))
        yield (
            f"{self.config.model}, batch {self.config.batch_size}; {self.config.rounds} rounds in turns, each in a process of "
            "its own"
        )
        if any(map(self.ratios, self.entries)):
            yield "vs: our latency by the other's, of the same format and threads, median of the rounds; below 1 ours is faster"
        if "applications" in self.config.routes:
            strides = ", whose strides on the 1x1 save multiply-adds" if self.config.model.lower().endswith("v1_5") else ""
            yield f"keras.applications: its {application(self.config.model)} with random weights{strides}"
        yield "memory: the most that the process had; model's: what of it came on top of the idle runtime"
        yield machine(self.entries)

    def record(self):
        """For JSON; latencies are in milliseconds, memory in megabytes."""
        config = {**dataclasses.asdict(self.config), "output_dir": str(self.config.output_dir), "model": self.config.model}
        config["model_path"] = self.config.model_path and str(self.config.model_path)
        entries = [{**entry.record(), "ratios": self._summaries(entry)} for entry in self.entries]
        return {"config": config, "machine": machine(self.entries), "entries": entries}

    def _summaries(self, entry):
        return {
            route: {"median": statistics.median(ratios), "smallest": min(ratios), "largest": max(ratios), "rounds": ratios}
            for route, ratios in self.ratios(entry).items()
        }


def comparable(ours, other):
    """Whether `other` is what `ours` is to be measured by."""
    if other.route in ROUTES:
        return other.format == ours.format
    return other.route != OURS and other.path.name == ours.path.name
