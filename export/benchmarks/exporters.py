"""The table of exporters to compare against: each writes the formats that it has from the same network, in other processes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from keras_resnet.benchmarks.applications import nearest_application
from keras_resnet.benchmarks.processes import WorkerError, WorkerProcess

KERAS, TORCH = f"{__package__}.keras_export.KerasExport", f"{__package__}.torch_export.TorchExport"


@dataclasses.dataclass(frozen=True)
class Exporter:
    """write: from (`.keras` file, model's name, {format: path}, verbosity) to {format: why it could not be written}."""

    title: str
    write: Callable[[Path, str, dict[str, Path], str], dict[str, str]]
    formats: tuple[str, ...] = ("saved_model", "tflite", "onnx")


def keras(source: Path, model: str, paths: dict[str, Path], verbosity: str, application: str | None = None) -> dict[str, str]:
    failures = {}
    with WorkerProcess(KERAS, verbosity) as process:
        for format, path in paths.items():
            try:
                process.call("write", format=format, path=str(path), model_path=str(source), application=application)
            except WorkerError as error:
                failures[format] = str(error)
    return failures


def applications(source: Path, model: str, paths: dict[str, Path], verbosity: str) -> dict[str, str]:
    return keras(source, model, paths, verbosity, nearest_application(model))


def pytorch(source: Path, model: str, paths: dict[str, Path], verbosity: str) -> dict[str, str]:
    (path,) = paths.values()
    description = path.with_name("description.npz")
    try:
        with WorkerProcess(KERAS, verbosity) as process:
            process.call("describe", path=str(description), model_path=str(source))
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
