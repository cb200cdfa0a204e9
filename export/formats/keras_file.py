"""`.keras` files and the package's own weights: what exports are made from. They are read and run like the exported formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_resnet.weights.pretrained.lookup import entry_of_file

from .format import ReadableFormat
from .inspection import Inspection, count

if TYPE_CHECKING:
    import keras

    from keras_resnet.metadata import ClassifierMetadata


class KerasRunner:
    """A classifier in Keras; they all end in probabilities."""

    outputs = ("probabilities",)

    def __init__(self, model: keras.Model) -> None:
        self.model = model

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {"probabilities": self.model.predict_on_batch(images.astype(np.float32))}


class KerasFormat(ReadableFormat):
    name = "keras"
    title = "Keras"
    suffix = ".keras"
    libraries = ("keras",)
    needs_keras = True

    def open(self, path: Path) -> KerasRunner:
        from keras_resnet.saving import load_model

        return KerasRunner(load_model(path))

    def inspect(self, path: Path, runner: KerasRunner) -> Inspection:
        return Inspection(count(type(layer).__name__ for layer in runner.model.layers))


class PretrainedFormat(KerasFormat):
    """The files of the trained weights that come with this package, each of which is a classifier by what its index says."""

    name = "pretrained"
    title = "trained weights"
    suffix = ""  # nobody else's file is of this format
    libraries = ()  # besides those of `.keras` files

    def matches(self, path: Path) -> bool:
        return entry_of_file(path) is not None

    def read_metadata(self, path: Path) -> ClassifierMetadata | None:
        entry = entry_of_file(path)
        return entry and entry.metadata

    def open(self, path: Path) -> KerasRunner:
        from keras_resnet.classifier import pretrained_classifier

        entry = entry_of_file(path)
        assert entry, path
        return KerasRunner(pretrained_classifier(entry))


KERAS, PRETRAINED = KerasFormat(), PretrainedFormat()
