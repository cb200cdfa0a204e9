"""An experiment from its row in the table to its report, with the runs that are done already left as they are."""

import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from keras_resnet.errors import TrainingInterrupted, UserError
from keras_resnet.files import json_text, write_text

from ..signals import StopSignal
from ..workdir import lock
from .config import PlannedRun, ReproduceConfig, runs_at_a_time
from .measures import MEASURES
from .report import REPORT_FILE, write_report
from .reproduction import Reproduction
from .results import DONE, RunResult
from .runner import RunPool
from .session import result_path

__all__ = ["REPORT_FILE", "reproduce"]

RESULT_FILE, LOCK_FILE = "result.json", ".lock"


def reproduce(
    config: ReproduceConfig, verbosity: str = "quiet", report_progress: Callable[[str], None] = lambda line: None
) -> Reproduction:
    """Does what is left of an experiment, tests its claims and writes `report.html`, `curves.png` and `result.json`.

    Args:
        config: what to do.
        verbosity: of the processes that train; "quiet" hides what they print.
        report_progress: receives a line of text after each run.

    Raises:
        UserError: for a mistake that every run would make, such as a data set that is not there.
        TrainingInterrupted: after a signal, once what runs has saved its state.
    """
    check_output_dir(config)
    with locked(config.runs_dir):
        return run_and_report(config, verbosity, report_progress)


def run_and_report(config: ReproduceConfig, verbosity: str, report_progress: Callable[[str], None]) -> Reproduction:
    """See `reproduce`; nobody else works in the folder."""
    planned = config.runs()
    there = {run.workdir: RunResult.read(result_path(run.workdir), run.config.to_dict()) for run in planned}
    left = [run for run in planned if there[run.workdir] is None]
    jobs = runs_at_a_time(config.jobs, len(left))
    if left:
        report_progress(f"{len(planned)} runs, {len(planned) - len(left)} of them done; {jobs} at a time")
    failed: list[str] = []
    done = len(planned) - len(left)

    def on_result(result: RunResult) -> None:
        nonlocal done
        done += result.finished
        if not result.finished:
            failed.append(f"{result.arm}, seed {result.seed}: {result.message}")
        report_progress(f"{done} of {len(planned)}: {describe(result)}")

    with StopSignal() as stop_signal:
        RunPool(longest_first(left), config.plan, jobs, verbosity, on_result).run(stop_signal)
        if stop_signal.received:
            raise TrainingInterrupted(
                f"stopped after {done} of {len(planned)} runs; the same command continues", stop_signal.received
            )
    reproduction = Reproduction.of(config, results_of(config), failed)
    write_text(config.output_dir / RESULT_FILE, f"{json_text(reproduction.record(), indent=1)}\n")
    write_report(reproduction, config.output_dir)
    return reproduction


def locked(folder: Path) -> TextIO:
    """Locks the folder of the runs until what is returned is closed."""
    (folder / LOCK_FILE).touch()
    return lock(folder / LOCK_FILE, "reproducing an experiment in {}: wait for it, or choose another --output_dir")


def results_of(config: ReproduceConfig) -> list[RunResult]:
    """The results in the folder: of the runs that were asked for, and of other seeds of theirs, which an earlier call did."""
    found = [RunResult.read(result_path(run.workdir), run.config.to_dict()) for run in config.runs()]
    for run in config.earlier_runs():
        with contextlib.suppress(UserError):  # of another plan, which only a run that is asked for must not be
            found.append(RunResult.read(result_path(run.workdir), run.config.to_dict()))
    return [result for result in found if result]


def check_output_dir(config: ReproduceConfig) -> None:
    """Raises a `UserError` for a folder with something else in it, before anything runs."""
    folder = config.output_dir
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder: choose another --output_dir")
    if folder.is_dir() and any(folder.iterdir()) and not config.runs_dir.is_dir():
        raise UserError(f"{folder} is not empty and holds no runs of an experiment: choose another --output_dir")
    config.runs_dir.mkdir(parents=True, exist_ok=True)


def longest_first(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The deepest networks first, so that no long run is left alone at the end."""
    return sorted(runs, key=lambda run: -layers(run) * run.config.recipe.epochs)


def layers(run: PlannedRun) -> int:
    """As many as the name of the network says."""
    found = re.search(r"\d+", run.config.model)
    return int(found[0]) if found else 0


def describe(result: RunResult) -> str:
    """A line about a run that has ended."""
    end = result.message if result.status != DONE else ""
    if result.test:
        measure = MEASURES["test_error"]
        end = f"{measure.title} {measure.text(measure.of(result))}"
    return f"{result.arm}, seed {result.seed}: {f'{end}, ' if end else ''}{result.seconds:.0f} s"
