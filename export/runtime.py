"""Runs any artifact on images. Only what its format needs is imported: Keras for `.keras` files and for nothing else."""

from os import PathLike
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError, comma_join, first_line

from .formats import READABLE_FORMATS
from .formats.format import Images, ReadableFormat, in_batches
from .formats.inspection import Inspection


class Predictor:
    """A classifier from a file.

    Attributes:
        path: The file or folder.
        metadata: What it knows about itself: class names and preprocessing.
        output: What `run` returns, "probabilities" or "logits".
    """

    def __init__(self, path: Path, format: ReadableFormat) -> None:
        metadata = format.read_metadata(path)
        if metadata is None:
            raise UserError(f"{path} carries no labels and preprocessing: it is not a file that keras-resnet wrote")
        self.path, self.metadata, self._format = path, metadata, format
        self._runner = format.open(path)
        self.output = self._runner.output

    def run(self, images: Images) -> np.ndarray:
        """Computes uint8 (N, H, W, C), 0 to 255 -> float32 (N, classes), the model's raw output.

        Raises:
            UserError: For images of another size, and for a model whose outputs are not as many as its labels.
        """
        shape = self.metadata.preprocessing.shape
        if images.shape[1:] != shape:
            raise UserError(
                f"{self.path} takes images of {'x'.join(map(str, shape))}, these are {'x'.join(map(str, images.shape[1:]))}"
            )
        outputs = in_batches(self._runner.run, images)
        if outputs.shape[1] != len(self.metadata.labels):
            raise UserError(f"{self.path} has {outputs.shape[1]} outputs and {len(self.metadata.labels)} labels")
        return outputs

    def probabilities(self, images: Images) -> np.ndarray:
        """Computes uint8 (N, H, W, C), 0 to 255 -> float32 (N, classes), the probability of each class."""
        scores = self.run(images)
        if self.output != "logits":
            return scores
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def inspect(self) -> Inspection:
        """Counts the model's operators."""
        return self._format.inspect(self.path, self._runner)


def load_predictor(path: str | PathLike[str]) -> Predictor:
    """Opens a `.keras`, `.tflite` or `.onnx` file or a SavedModel folder, or raises a `UserError` of one line."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"no file or folder {path}")
    format = next((format for format in READABLE_FORMATS if format.matches(path)), None)
    if format is None:
        *suffixes, last = [format.suffix for format in READABLE_FORMATS if format.suffix]
        folders = [format.title for format in READABLE_FORMATS if not format.suffix]
        raise UserError(f"{path} is not a {comma_join(suffixes)} or {last} file nor a {comma_join(folders)} folder")
    try:
        return Predictor(path, format)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be loaded: {first_line(error)}") from error
