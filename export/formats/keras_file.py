"""`.keras` files: what exports are made from. They are read and run like the exported formats, but are not one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .format import ReadableFormat
from .inspection import Inspection, count

if TYPE_CHECKING:
    import keras


class KerasRunner:
    """A `.keras` classifier; they all end in probabilities."""

    outputs = ("probabilities",)

    def __init__(self, path: Path) -> None:
        from keras_resnet.saving import load_model

        self.model: keras.Model = load_model(path)

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {"probabilities": self.model.predict_on_batch(images.astype(np.float32))}


class KerasFormat(ReadableFormat):
    name = "keras"
    title = "Keras"
    suffix = ".keras"
    libraries = ("keras",)
    needs_keras = True

    def open(self, path: Path) -> KerasRunner:
        return KerasRunner(path)

    def inspect(self, path: Path, runner: KerasRunner) -> Inspection:
        return Inspection(count(type(layer).__name__ for layer in runner.model.layers))


KERAS = KerasFormat()
