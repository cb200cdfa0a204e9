"""The table of exporters to compare against: each writes the formats that it has from the same network, in other processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from keras_resnet.benchmarks.applications import nearest_application
from keras_resnet.benchmarks.processes import WorkerError, WorkerProcess

from ..targets import TARGETS
from .artifacts import FORMATS, Artifact

if TYPE_CHECKING:
    from .config import LatencyConfig

KERAS, TORCH = f"{__package__}.keras_export.KerasExport", f"{__package__}.torch_export.TorchExport"


@dataclasses.dataclass(frozen=True)
class Exporter:
    """write: a function of (configuration, {format: path}, verbosity) to {format: why it could not be written}."""

    title: str
    write: Callable[[LatencyConfig, dict[str, Path], str], dict[str, str]]
    formats: tuple[str, ...] = tuple(FORMATS)


def keras(config: LatencyConfig, paths: dict[str, Path], verbosity: str, application: str | None = None) -> dict[str, str]:
    failures = {}
    with WorkerProcess(KERAS, verbosity) as process:
        for format, path in paths.items():
            source_path = str(config.source_path)
            try:
                process.call("write", format=format, path=str(path), model_path=source_path, application=application)
            except WorkerError as error:
                failures[format] = str(error)
    return failures


def applications(config: LatencyConfig, paths: dict[str, Path], verbosity: str) -> dict[str, str]:
    return keras(config, paths, verbosity, nearest_application(config.model))


def pytorch(config: LatencyConfig, paths: dict[str, Path], verbosity: str) -> dict[str, str]:
    (path,) = paths.values()
    description = path.with_name("description.npz")
    try:
        with WorkerProcess(KERAS, verbosity) as process:
            process.call("describe", path=str(description), model_path=str(config.source_path))
        with WorkerProcess(TORCH, verbosity) as process:
            process.call("write", path=str(path), description=str(description))
    except WorkerError as error:
        return {"onnx": str(error)}
    return {}


EXPORTERS = {
    "keras": Exporter("Keras' export", keras),
    "applications": Exporter("keras.applications", applications),
    "torch": Exporter("PyTorch", pytorch, formats=("onnx",)),
}


def write_baselines(
    config: LatencyConfig, formats: Collection[str], folder: Path, verbosity: str, report_progress: Callable[[str], None]
) -> Iterator[Artifact]:
    """Yields the artifacts of all exporters of `config`, in those of `formats` that they have, each in its own subfolder."""
    for name in config.exporters:
        exporter = EXPORTERS[name]
        report_progress(f"{exporter.title}: exporting")
        (folder / name).mkdir()
        paths = {format: folder / name / TARGETS[format].file for format in exporter.formats if format in formats}
        failures = exporter.write(config, paths, verbosity) if paths else {}
        for format, path in paths.items():
            yield Artifact(name, f"{exporter.title}, {FORMATS[format]}", path, failures.get(format, ""))
