"""Runs any artifact on images. Only what its format needs is imported: Keras for `.keras` files and for nothing else."""

import functools
import os
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.files import recover
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.metrics import softmax

from .formats import FORMATS, READABLE_FORMATS
from .formats.format import FEATURES, GRADCAM, Images, ReadableFormat, Runner, in_batches
from .formats.inspection import Inspection


class Predictor:
    """A classifier from a file.

    Attributes:
        path: The file or folder.
        metadata: What it knows about itself: class names and preprocessing.
        outputs: The names of what `run` returns.

    Args:
        path: The file or folder.
        metadata: See above.
        runner: Runs it.
        inspect: Counts its operators.
    """

    def __init__(
        self, path: str | PathLike[str], metadata: ClassifierMetadata, runner: Runner, inspect: Callable[[], Inspection]
    ) -> None:
        self.path, self.metadata, self.outputs, self.inspect = path, metadata, runner.outputs, inspect
        self._runner = runner

    def run(self, images: Images) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C), 0 to 255 -> {output: float32 (N, ...)}, the model's raw outputs.

        Raises:
            UserError: For images of another size, a model that fails, and one whose outputs are not as many as its labels.
        """
        shape = self.metadata.preprocessing.shape
        if images.shape[1:] != shape:
            raise UserError(
                f"{self.path} takes images of {'x'.join(map(str, shape))}, these are {'x'.join(map(str, images.shape[1:]))}"
            )
        return in_batches(self._run_batch, images)

    def _run_batch(self, images: np.ndarray) -> dict[str, np.ndarray]:
        try:
            outputs = self._runner.run(images)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self.path} cannot be run: {first_line(error)}") from error
        for name, output in outputs.items():
            is_map = name == GRADCAM  # (N, h, w)
            if output.ndim != 2 + is_map or len(output) != len(images):
                raise UserError(f"{self.path} gives outputs of shape {output.shape} for {len(images)} images")
            if not is_map and name != FEATURES and output.shape[1] != len(self.metadata.labels):
                raise UserError(f"{self.path} has {output.shape[1]} outputs and {len(self.metadata.labels)} labels")
        return outputs

    def seconds(self, images: Images) -> float:
        """Measures how long the images take, by the clock of the runtime where it has one: a browser is far away."""
        begin = time.perf_counter()
        self.run(images)
        elapsed = time.perf_counter() - begin
        return getattr(self._runner, "seconds", elapsed)

    def probabilities(self, images: Images) -> np.ndarray:
        """Computes uint8 (N, H, W, C), 0 to 255 -> float32 (N, classes), the probability of each class."""
        if set(self.outputs) <= {FEATURES, GRADCAM}:
            raise UserError(f"{self.path} gives features, which name no class: export it with --output=probabilities,features")
        outputs = self.run(images)
        if "probabilities" in outputs or "logits" not in outputs:
            return outputs.get("probabilities", next(iter(outputs.values())))
        return softmax(outputs["logits"])


def load_predictor(path: str | PathLike[str], variant: str = "") -> Predictor:
    """Opens a `.keras`, `.tflite` or `.onnx` file, a SavedModel folder or a web page's, or raises a `UserError` of one line.

    Args:
        path: The file or folder.
        variant: One of its format's `variants`, or none.
    """
    path, format = Path(path), format_of(path)
    try:
        metadata = format.read_metadata(path)
        if metadata is None:
            raise UserError(f"{path} carries no labels and preprocessing: it is not a file that keras-resnet wrote")
        runner = format.open_variant(path, variant) if variant else format.open(path)
        return Predictor(path, metadata, runner, functools.partial(format.inspect, path, runner))
    except UserError as error:
        if str(path) in str(error):
            raise
        raise UserError(f"{path} cannot be loaded: {error}") from error
    except Exception as error:
        raise UserError(f"{path} cannot be loaded: {first_line(error)}") from error


def format_of(path: str | PathLike[str]) -> ReadableFormat:
    """The format of a file or folder by its name, or a `UserError` that says which names there are."""
    given, path = os.fspath(path), Path(path)
    recover(path)
    try:
        if not path.exists():
            raise UserError(f"no file or folder {given}")
        format = next((format for format in READABLE_FORMATS if format.matches(path)), None)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if format is None:
        *suffixes, last = [format.suffix for format in READABLE_FORMATS if format.suffix]
        folders = " or ".join(format.title for format in FORMATS.values() if not format.suffix)
        raise UserError(f"{path} is not a {comma_join(suffixes)} or {last} file nor a {folders} folder")
    return format
