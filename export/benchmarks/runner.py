"""Runs the export benchmark: all artifacts with one number of threads alive at once, measured in interleaved rounds."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_resnet.benchmarks.runner import Runner
from keras_resnet.errors import UserError

from ..formats import FORMATS
from .artifacts import OURS, Artifact, find_artifacts
from .baselines import write_baselines
from .config import LatencyConfig
from .result import LatencyEntry, LatencyResult

SESSION = f"{__package__}.session.LatencySession"


def benchmark(
    config: LatencyConfig, verbosity: str = "quiet", report_progress: Callable[[str], None] = lambda line: None
) -> LatencyResult:
    """Measures what `config` says.

    An artifact that fails is listed with the reason.

    Args:
        config: What to measure, and how often.
        verbosity: Of the artifacts' processes; "quiet" hides what they print.
        report_progress: Receives lines of text.

    Raises:
        UserError: All artifacts of this package failed.
    """
    with tempfile.TemporaryDirectory(prefix="keras-resnet-") as folder:
        artifacts = find_artifacts(config.output_dir, OURS)
        formats = {artifact.format for artifact in artifacts}
        for other in config.folders:
            artifacts += [artifact for artifact in find_artifacts(other, str(other)) if artifact.format in formats]
        artifacts += write_baselines(config, formats, Path(folder), verbosity, report_progress)
        artifacts.sort(key=lambda artifact: list(FORMATS).index(artifact.format))  # next to what it is compared with
        entries = []
        for threads in config.threads:
            entries += measure(config, artifacts, threads, verbosity, report_progress)
    ours = [entry for entry in entries if entry.artifact.exporter == OURS]
    if all(entry.failure for entry in ours):
        raise UserError(f"nothing in {config.output_dir} could be measured: {ours[0].title}: {ours[0].failure}")
    return LatencyResult(config, tuple(entries))


def measure(
    config: LatencyConfig,
    artifacts: Sequence[Artifact],
    threads: int,
    verbosity: str,
    report_progress: Callable[[str], None],
) -> list[LatencyEntry]:
    """Returns an entry for each artifact, each measured in a process of its own."""
    entries = [LatencyEntry(artifact, threads) for artifact in artifacts]
    with Runner(SESSION, entries, verbosity, lambda line: report_progress(f"threads {threads}: {line}")) as runner:
        runner.prepare(lambda entry, process: entry.prepare(process, config))
        runner.run(config.rounds, add=lambda entry, latencies: entry.rounds.append(latencies))
    return entries
