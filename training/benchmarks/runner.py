"""Runs the training benchmark: prepares every candidate, then measures them in interleaved rounds."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable
from typing import Any

from keras_resnet.benchmarks.processes import WorkerError, WorkerProcess
from keras_resnet.benchmarks.runner import Runner

from .candidates import JPEG_INPUT, MATMUL, OURS, Candidate
from .config import BenchmarkConfig, select_candidates
from .jpeg_files import write_jpeg_files
from .linked_images import write_linked_folder
from .result import TrainingEntry, TrainingResult
from .session import StartInfo

SESSION = f"{__package__}.session.TrainingSession"
DESCRIPTION_SESSION = f"{__package__}.session.DescriptionSession"


def benchmark(
    config: BenchmarkConfig, verbosity: str = "quiet", report_progress: Callable[[str], None] = lambda line: None
) -> TrainingResult:
    """Measures what `config` says.

    This process's environment must not have been configured: the candidates get it as it is, and some configure it themselves.
    A candidate that fails is listed with the reason; only ours must not.

    Args:
        config: What to measure, and how often.
        verbosity: Of the candidates' processes; "quiet" hides what they print.
        report_progress: Receives lines of text.
    """
    candidates = select_candidates(config)
    entries = [TrainingEntry(key, title=row.title, required=key == OURS) for key, row in candidates.items()]
    record = dataclasses.asdict(config)

    def prepare(entry: TrainingEntry, process: WorkerProcess) -> None:
        candidate = candidates[entry.key]
        graph = describe_network(verbosity, record) if candidate.needs_graph else None
        entry.set_start(prepare_session(process, candidate, record, graph, folder))

    with contextlib.ExitStack() as stack:
        folder = None
        if config.candidates is JPEG_INPUT or config.task == "start":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keras-resnet-benchmark-"))
            if config.task == "start":
                report_progress(f"making {config.images:,} links")
                write_linked_folder(folder, config.images)
            else:
                write_jpeg_files(folder)
        runner = stack.enter_context(Runner(SESSION, entries, verbosity, report_progress))
        runner.prepare(prepare)
        peak = None
        if config.task == "train":
            try:
                peak = MatmulPeak(stack.enter_context(WorkerProcess(SESSION, verbosity)), record)
            except WorkerError as error:  # a figure to compare with, which does not cost the others
                report_progress(f"matrix multiplication: {error}")
        runner.run(
            config.rounds,
            add=lambda entry, measurement: entry.add(measurement, config),
            after_round=peak.measure if peak else lambda: None,
        )
    return TrainingResult(config, tuple(entries), peak.best if peak else None)


def describe_network(verbosity: str, config: dict[str, Any]) -> list[Any]:
    """Has the network described in a process of its own. `config`: a `BenchmarkConfig` as a dictionary."""
    with WorkerProcess(DESCRIPTION_SESSION, verbosity) as process:
        return process.call("describe", verbosity=verbosity, config=config)


def prepare_session(
    process: WorkerProcess,
    candidate: Candidate,
    config: dict[str, Any],
    graph: list[Any] | None = None,
    folder: str | None = None,
) -> StartInfo:
    """Has the candidate built in its process. config: A `BenchmarkConfig` as a dictionary. folder: Of JPEGs."""
    row = {name: getattr(candidate, name) for name in ("class_path", "our_environment", "variables")}
    return process.call("prepare", **row, verbosity=process.verbosity, config=config, graph=graph, folder=folder)


class MatmulPeak:
    """The speed of a large matrix multiplication on this machine, measured in every round. best: operations per second."""

    def __init__(self, process: WorkerProcess, config: dict[str, Any]) -> None:
        self._process, self.best = process, 0.0
        self._operations = prepare_session(process, MATMUL, {**config, "steps": 1}).get("operations", 0)

    def measure(self) -> None:
        with contextlib.suppress(WorkerError):  # what was measured before stays
            measured = self._process.call("measure")
            self.best = max(self.best, self._operations * measured["steps"] / measured["seconds"])
