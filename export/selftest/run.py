"""Runs the self-test of an export, each artifact in a process of its own, as the verification of an export does."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_resnet.archives import open_archive
from keras_resnet.errors import UserError, comma_join

from ..isolation.process import ArtifactProcess
from . import standalone
from .standalone import FAILED, NOT_RUN, Result, SelfTest, SelfTestError

MAX_BYTES = 4 << 30  # of a self-test
MODULES = {  # that the process of an artifact imports, by its format
    "saved_model": ("tensorflow",),
    "tflite": ("ai_edge_litert",),
    "onnx": ("onnxruntime", "onnx"),
    "web": ("ai_edge_litert",),
}


def run_selftest(
    path: Path,
    formats: Sequence[str] = (),
    verbosity: str = "quiet",
    report_progress: Callable[[str], None] = lambda line: None,
) -> tuple[SelfTest, list[Result]]:
    """Runs the artifacts of an export on the images of its self-test, and compares their outputs with those of Keras.

    Args:
        path: The folder of the export, or one of its artifacts.
        formats: Of the artifacts that are run; all, if empty.
        verbosity: "quiet" hides what the runtimes print.
        report_progress: Is told the file of each artifact as it begins.

    Raises:
        UserError: Where there is no self-test or a damaged one, and for a format or file that it does not have.
    """
    if unknown := [name for name in formats if name not in standalone.FORMATS]:
        raise UserError(f"unknown format {comma_join(unknown)!r}; the formats are {comma_join(standalone.FORMATS)}")
    results = []
    with as_user_errors():
        with open_archive(standalone.locate(path), MAX_BYTES):
            test = standalone.read(path)
        chosen = list(standalone.select(test, path, tuple(formats)))
    for artifact, file in chosen:
        report_progress(artifact["file"])
        results.append(run_artifact(test, artifact, file, verbosity))
    return test, results


@contextlib.contextmanager
def as_user_errors() -> Iterator[None]:
    try:
        yield
    except SelfTestError as error:
        raise UserError(error) from error


def run_artifact(test: SelfTest, artifact: dict[str, Any], path: Path, verbosity: str) -> Result:
    """Runs one artifact in a process of its own and judges it."""
    name, file = artifact["name"], artifact["file"]
    if reasons := standalone.differing_files(artifact, path):
        return Result(name, file, FAILED, reasons, {})
    if missing := [module for module in MODULES[artifact["format"]] if importlib.util.find_spec(module) is None]:
        return Result(name, file, NOT_RUN, [f"its runtime is not installed: there is no {comma_join(missing)}"], {})
    try:
        with ArtifactProcess(path, verbosity) as process:
            result = standalone.judge(test, artifact, process.predictor.run(test.images))
            note = process.inspect().note if artifact["format"] == "web" else ""  # whether it was run in a browser
            return result._replace(reasons=[*result.reasons, note]) if note else result
    except UserError as error:
        return Result(name, file, FAILED, [str(error).removeprefix(f"{path} ")], {})
