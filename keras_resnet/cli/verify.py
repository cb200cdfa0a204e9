"""`keras-resnet verify`: the self-test of an export, on this machine."""

from pathlib import Path
from typing import Any

from keras_resnet import environment
from keras_resnet.errors import UserError, comma_join
from keras_resnet.export.selftest import standalone
from keras_resnet.export.selftest.machine import describe_cpu
from keras_resnet.export.selftest.run import run_selftest
from keras_resnet.export.selftest.standalone import FAILED, FORMATS, NOT_RUN, PASSED, Result, SelfTest
from keras_resnet.files import json_text, write_text
from keras_resnet.remote import AnyPath, RemotePath, as_path, check_reachable

from .command import Command
from .flags import FlagHelp, Flags
from .output import check_json_file, print_lines, show_table, status_line

COLUMNS = ("artifact", "result", "largest difference", "agreement", "why")
SELF_TEST = "Self-test"
VERDICTS = (PASSED, FAILED, NOT_RUN)


def define_flags(flags: Flags) -> None:
    formats = FlagHelp(SELF_TEST, "The formats of the artifacts that are run.", FORMATS, "all that were exported")
    flags.define("formats", tuple, (), formats)
    json_file = "Also write the results to this file, as JSON. It must not exist yet."
    flags.define("json", str, None, FlagHelp(SELF_TEST, json_file, placeholder="FILE"))


def verify(flags: Flags, arguments: list[str]) -> int:
    """Runs an export's self-test on this machine; exit status 1 if an artifact does not pass, or cannot be run."""
    if len(arguments) > 1:
        raise UserError(f"verify takes one folder or artifact, not {comma_join(arguments)}")
    if flags.json:
        check_json_file(Path(flags.json))
    given = as_path(arguments[0])
    environment.configure(flags.verbosity, tensorflow=isinstance(given, RemotePath))
    with status_line() as show:
        test, results = run_selftest(local_export(given), flags.formats, flags.verbosity, show)
    show_table(COLUMNS, map(row, results))
    versions = ", ".join(f"{name} {version}" for name, version in standalone.versions().items())
    print_lines(f"on {describe_cpu()}", f"with {versions}", summary(results, len(test.images)))
    if flags.json:
        write_text(flags.json, f"{json_text(record(test, results), indent=2)}\n")
    return standalone.exit_status(results)


def local_export(path: AnyPath) -> Path:
    """The path of an export or artifact, or of a copy of what is at a URL."""
    if isinstance(path, Path):
        return path
    from keras_resnet.export.output_dir import download_export

    check_reachable(path)
    return download_export(path)


def row(result: Result) -> tuple[str, ...]:
    """A line of the table; figures of several outputs are named."""
    named = len(result.outputs) > 1
    found = [(f"{name} " if named else "", figures) for name, figures in result.outputs.items()]
    differences = [f"{name}{figures['max_difference']:.1e}" for name, figures in found if "max_difference" in figures]
    agreements = [
        f"{name}{figures['decided'] - figures['disagreements']} of {figures['decided']}"
        for name, figures in found
        if "decided" in figures
    ]
    return result.file, result.verdict, comma_join(differences), comma_join(agreements), "; ".join(result.reasons)


def summary(results: list[Result], images: int) -> str:
    """One line: how many artifacts passed, and how many did not or were not run."""
    counts = {verdict: sum(result.verdict == verdict for result in results) for verdict in VERDICTS}
    which = "All artifacts" if counts[PASSED] == len(results) > 1 else f"{counts[PASSED]} of {len(results)} artifacts"
    not_run = f", {counts[NOT_RUN]} not run" if counts[NOT_RUN] else ""
    failed = f", {counts[FAILED]} failed" if counts[FAILED] else ""
    return f"{which} passed{failed}{not_run}, on {images} images."


def record(test: SelfTest, results: list[Result]) -> dict[str, Any]:
    """What --json writes."""
    about = {"model": test.record["model"], "dataset": test.record["dataset"], "images": len(test.images)}
    machine = {"cpu": describe_cpu(), "versions": standalone.versions()}
    return {**about, **machine, "artifacts": [result._asdict() for result in results]}


COMMAND = Command(
    verify,
    define_flags,
    arguments="FOLDER",
    example="keras-resnet verify runs/digits/export",
)
