"""The table of other ways from the same network to a file: each writes the formats that it has, in processes of its own."""

import dataclasses
from collections.abc import Callable

from keras_resnet.benchmarks.applications import application
from keras_resnet.benchmarks.processes import FailedError, Process

from .files import FORMATS, File

KERAS, TORCH = (f"{__package__}.{module}.Writer" for module in ("keras_writer", "torch_writer"))
NAMES = {"saved_model": "saved_model", "tflite": "model.tflite", "onnx": "model.onnx"}


@dataclasses.dataclass(frozen=True)
class Route:
    """write: a function of (configuration, {format: path}, verbosity) to {format: why it could not be written}."""

    title: str
    write: Callable
    formats: tuple = tuple(FORMATS)


def keras(config, paths, verbosity, torch_model=None):
    failures = {}
    with Process(KERAS, verbosity) as process:
        for format, path in paths.items():
            try:
                process.call("write", format=format, path=str(path), model_path=str(config.source), application=torch_model)
            except FailedError as error:
                failures[format] = str(error)
    return failures


def applications(config, paths, verbosity):
    return keras(config, paths, verbosity, application(config.model))


def pytorch(config, paths, verbosity):
    (path,) = paths.values()
    description = path.with_name("description.npz")
    try:
        with Process(KERAS, verbosity) as process:
            process.call("describe", path=str(description), model_path=str(config.source))
        with Process(TORCH, verbosity) as process:
            process.call("write", path=str(path), description=str(description))
    except FailedError as error:
        return {"onnx": str(error)}
    return {}


ROUTES = {
    "keras": Route("Keras' export", keras),
    "applications": Route("keras.applications", applications),
    "torch": Route("PyTorch", pytorch, formats=("onnx",)),
}


def written(config, formats, folder, verbosity, say):
    """The files of all routes of `config`, in those of `formats` that they have, each route's in a folder inside `folder`."""
    for name in config.routes:
        route = ROUTES[name]
        say(f"{route.title}: exporting")
        (folder / name).mkdir()
        paths = {format: folder / name / NAMES[format] for format in route.formats if format in formats}
        failures = route.write(config, paths, verbosity) if paths else {}
        for format, path in paths.items():
            yield File(name, f"{route.title}, {FORMATS[format]}", path, failures.get(format, ""))
