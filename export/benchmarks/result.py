"""What the export benchmark measured: as a table, in words, and as a record for a file."""

import dataclasses
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_resnet.benchmarks.applications import nearest_application
from keras_resnet.benchmarks.processes import WorkerProcess
from keras_resnet.benchmarks.result import Table, failure_notes, interleaving_note, machine, without_empty_columns
from keras_resnet.benchmarks.runner import Entry

from .artifacts import OURS, Artifact, failed_artifacts
from .config import LatencyConfig
from .exporters import EXPORTERS
from .session import LoadInfo


@dataclasses.dataclass
class LatencyEntry(Entry):
    """One artifact with one number of threads. rounds: the seconds of each inference, round by round. load: see `LoadInfo`."""

    title: str = dataclasses.field(init=False)
    artifact: Artifact
    threads: int
    rounds: list[list[float]] = dataclasses.field(default_factory=list)
    bytes: int = 0
    load_seconds: float | None = None
    idle_memory: float | None = None

    def __post_init__(self) -> None:
        self.title, self.failure = self.artifact.title, self.failure or self.artifact.failure

    def prepare(self, process: WorkerProcess, config: LatencyConfig) -> None:
        """Has the artifact loaded in its process."""
        artifact, self.bytes = self.artifact, self.artifact.bytes
        arguments = {"batch_size": config.batch_size, "runs": config.steps, "threads": self.threads}
        info: LoadInfo = process.call("prepare", format=artifact.format, path=str(artifact.path), **arguments)
        self.load_seconds, self.idle_memory, self.versions = info["load_seconds"], info["idle_memory"], info["versions"]

    @property
    def medians(self) -> list[float]:
        """Milliseconds, round by round."""
        return [1000 * statistics.median(latencies) for latencies in self.rounds]

    def latency(self, quantile: float) -> float:
        """Returns a quantile of all inferences, in milliseconds."""
        return 1000 * float(np.quantile(np.concatenate(self.rounds), quantile))

    def record(self) -> dict[str, Any]:
        artifact = self.artifact
        record = {"exporter": artifact.exporter, "title": self.title, "format": artifact.format, "failure": self.failure}
        record |= {name: getattr(self, name) for name in ("threads", "bytes", "load_seconds", "idle_memory", "peak_memory")}
        if not self.failure:
            record |= {"median": self.latency(0.5), "p95": self.latency(0.95), "inferences": sum(map(len, self.rounds))}
        return {**record, "rounds": self.medians}


@dataclasses.dataclass(frozen=True)
class LatencyResult:
    config: LatencyConfig
    entries: tuple[LatencyEntry, ...]

    def ratios(self, entry: LatencyEntry) -> dict[str, list[float]]:
        """Returns `{exporter: ratios}`: our latency over each other exporter's, round by round.

        Threads and format are the same; an artifact of another export is compared with the one of the same name.
        """
        if entry.artifact.exporter != OURS or entry.failure:
            return {}
        others = [
            other
            for other in self.entries
            if other.threads == entry.threads and not other.failure and comparable(entry.artifact, other.artifact)
        ]
        return {
            other.artifact.exporter: [ours / theirs for ours, theirs in zip(entry.medians, other.medians, strict=True)]
            for other in others
        }

    def table(self) -> Table:
        used = {entry.artifact.exporter for entry in self.entries}
        titles = {name: exporter.title for name, exporter in EXPORTERS.items() if name in used}
        titles |= {str(folder): str(folder) for folder in self.config.folders}
        columns = ["", "threads", "size, MB", "median, ms", "p95, ms", *(f"vs {title}" for title in titles.values())]
        columns += ["memory, MB", "model's, MB"]
        return without_empty_columns(columns, [self._row(entry, list(titles)) for entry in self.entries])

    def _row(self, entry: LatencyEntry, exporters: list[str]) -> list[str | int]:
        if entry.failure:
            return [entry.title, entry.threads, "", "failed", "", *[""] * len(exporters), "", ""]
        ratios = self.ratios(entry)
        assert entry.peak_memory is not None
        assert entry.idle_memory is not None
        return [
            entry.title,
            entry.threads,
            f"{entry.bytes / 1e6:.2f}",
            f"{entry.latency(0.5):.4g}",
            f"{entry.latency(0.95):.4g}",
            *(f"{statistics.median(ratios[name]):.2f}x" if name in ratios else "" for name in exporters),
            f"{entry.peak_memory:,.0f}",
            f"{entry.peak_memory - entry.idle_memory:,.0f}",
        ]

    def notes(self) -> Iterator[str]:
        """Yields the lines below the table."""
        config = self.config
        yield from failure_notes(self.entries)
        yield from (f"{name}: left out, because it failed verification" for name in failed_artifacts(config.output_dir))
        yield f"{config.model}, batch {config.batch_size}; {interleaving_note(config.rounds)}"
        if any(map(self.ratios, self.entries)):
            yield "vs: our latency over the other's, same format and threads, median of the rounds; below 1 ours is faster"
        if "applications" in config.exporters:
            strides = ", whose strides on the 1x1 save multiply-adds" if config.model.lower().endswith("v1_5") else ""
            yield f"keras.applications: its {nearest_application(config.model)} with random weights{strides}"
        yield "memory: the peak of the process; model's: how much of it came on top of the idle runtime"
        yield machine(self.entries)

    def record(self) -> dict[str, Any]:
        """Returns what goes to a JSON file; latencies are in milliseconds, memory in megabytes."""
        config = {**dataclasses.asdict(self.config), "output_dir": str(self.config.output_dir), "model": self.config.model}
        config["model_path"] = self.config.model_path and str(self.config.model_path)
        candidates = [{**entry.record(), "ratios": self._summaries(entry)} for entry in self.entries]
        return {"config": config, "machine": machine(self.entries), "candidates": candidates}

    def _summaries(self, entry: LatencyEntry) -> dict[str, dict[str, Any]]:
        return {
            exporter: {"median": statistics.median(ratios), "smallest": min(ratios), "largest": max(ratios), "rounds": ratios}
            for exporter, ratios in self.ratios(entry).items()
        }


def comparable(ours: Artifact, other: Artifact) -> bool:
    """Returns whether `other` is a baseline of `ours`."""
    if other.exporter in EXPORTERS:
        return other.format == ours.format
    return other.exporter != OURS and other.path.name == ours.path.name
