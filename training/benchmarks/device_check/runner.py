"""Runs the checks within the time that there is; the record on the disk has every row that is done."""

import dataclasses
import datetime
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras_resnet
from keras_resnet.benchmarks.processes import WorkerError, WorkerTimeoutError
from keras_resnet.errors import UserError, first_line
from keras_resnet.files import json_text, write_text

from . import libraries
from .bench import Bench, CheckFailed
from .checks import CHECKS, Check, in_order, reason_to_leave_out
from .report import FAILED, LEFT_OUT, PASSED, Report, Row
from .sizes import FULL, SMALL, Sizes

MOST_TIMES_EXPECTED = 3  # what a row may take
LEAST_LIMIT = 120.0  # seconds that a row may take with small sizes, on however slow a CPU


def device_check(
    path: Path,
    sizes: Sizes | None = None,
    minutes: float | None = None,
    checks: Sequence[Check] = CHECKS,
    report_progress: Callable[[str], None] = lambda line: None,
) -> Report:
    """Runs all checks that can run here and fit into the time, each in processes of its own.

    Args:
        path: The JSON file, which is written again after each row.
        sizes: None for the full ones on a GPU, the small ones without.
        minutes: For all of it, `sizes.minutes` by default.
        checks: The rows.
        report_progress: Receives lines of text.

    Raises:
        UserError: If Keras, or every library that it could run on, is missing.
    """
    begin = time.monotonic()
    keras_version = libraries.keras_version()
    found = libraries.probe_all()
    check_usable(keras_version, found)
    gpu = any(library.gpus for library in found.values())
    machine = libraries.machine()
    if sizes is None:
        sizes = FULL if gpu else SMALL
        if not gpu:
            there = f", though there is {'; '.join(machine['gpus'])}" if machine["gpus"] else ""
            report_progress(f"no library here sees a GPU{there}: small sizes, which try the script and measure nothing")
    deadline = begin + 60 * (minutes or sizes.minutes)
    versions = {name: library.version for name, library in found.items() if library.version}
    report = Report(
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        sizes=dataclasses.asdict(sizes),
        minutes=minutes or sizes.minutes,
        machine={**machine, "seen": {name: list(library.gpus) for name, library in found.items()}},
        versions={"keras_resnet": keras_resnet.__version__, "keras": keras_version, **versions},
    )
    with tempfile.TemporaryDirectory(prefix="keras-resnet-device-", ignore_cleanup_errors=True) as folder:
        bench = Bench(sizes, found, Path(folder), gpu)
        for check in in_order(checks, bench):
            row = run_check(check, bench, deadline)
            report.rows.append(row)
            report.seconds = time.monotonic() - begin
            write_text(path, f"{json_text(report.record(), indent=2)}\n")
            if row.seconds:
                report_progress(f"{row.title}: {row.outcome()}")
    report.complete = True
    report.seconds = time.monotonic() - begin
    write_text(path, f"{json_text(report.record(), indent=2)}\n")
    return report


def check_usable(keras_version: str, found: dict[str, libraries.Library]) -> None:
    where = "docs/benchmarks.md says how to take it to a machine without a network"
    if not keras_version:
        raise UserError(f"device-check needs Keras, which is not installed; {where}")
    if not any(library.version for library in found.values()):
        problems = "; ".join(library.problem for library in found.values())
        raise UserError(f"device-check needs a library to run Keras on: {problems}")


def run_check(check: Check, bench: Bench, deadline: float) -> Row:
    """Runs one row; whatever goes wrong in it is in its result."""
    row = Row(check.key, check.title, LEFT_OUT)
    row.reason = reason_to_leave_out(check, bench)
    if row.reason:
        return row
    begin, expected = time.monotonic(), check.expected_seconds(bench)
    if deadline - begin < expected:
        row.reason = f"takes about {expected:.0f} s, which did not fit into the rest of the time"
        return row
    limit = max(MOST_TIMES_EXPECTED * expected, LEAST_LIMIT if bench.sizes.name == "small" else 0)
    bench.deadline = min(deadline, begin + limit)
    try:
        row.figures = check.run(bench)
        row.status = PASSED
    except WorkerTimeoutError:
        taken = f"was ended after {time.monotonic() - begin:.0f} s"
        over = bench.deadline == deadline
        row.status, row.reason = (LEFT_OUT, f"{taken}, when all time was over") if over else (FAILED, f"{taken}: too slow")
    except CheckFailed as error:
        row.status, row.reason, row.figures = FAILED, str(error), error.figures
    except WorkerError as error:
        row.status, row.reason = FAILED, str(error)
    except Exception as error:  # a bug in one check does not cost the others
        row.status, row.reason = FAILED, f"{type(error).__name__}: {first_line(error)}"
    row.seconds = time.monotonic() - begin
    return row
