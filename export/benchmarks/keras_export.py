"""The process in which Keras exports a model with its defaults: SavedModel, TFLite and ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_resnet import environment
from keras_resnet.benchmarks.session import Session
from keras_resnet.errors import UserError

if TYPE_CHECKING:
    import keras


class KerasExport(Session):
    def __init__(self) -> None:
        environment.configure("quiet")
        self._models: dict[tuple[str, str | None], keras.Model] = {}

    def write(self, format: str, path: str, model_path: str, application: str | None) -> None:
        """Writes an artifact.

        application: a function of keras.applications, whose network is written in place of the one in `model_path`.
        """
        WRITERS[format](self._model(model_path, application), Path(path))

    def describe(self, path: str, model_path: str) -> None:
        """Writes the network and its weights for PyTorch."""
        from keras_resnet.benchmarks import description

        description.write(self._model(model_path), path)

    def _model(self, path: str, application: str | None = None) -> keras.Model:
        from keras_resnet.classifier import load_unchanged

        if (path, application) not in self._models:
            model: Any = load_unchanged(path)
            model = application_like(model, application) if application else model
            model(np.zeros((1, *model.input_shape[1:]), "float32"))  # Keras writes no ONNX of a model that was never called
            self._models[path, application] = model
        return self._models[path, application]


def application_like(model: keras.Model, application: str) -> keras.Model:
    """Returns the network of keras.applications for the same images and classes, with random weights."""
    import keras

    constructor = getattr(keras.applications, application)
    network = constructor(weights=None, input_shape=model.input_shape[1:], classes=model.output_shape[1])
    if kernel_shapes(network) != kernel_shapes(model):
        raise UserError(f"keras.applications' {application} has other convolutions than this {model.name}")
    return network


def kernel_shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return sorted(tuple(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel"))


def write_saved_model(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def write_tflite(model: keras.Model, path: Path) -> None:
    import tensorflow as tf

    saved_model = path.with_name("saved_model")
    if not saved_model.exists():
        write_saved_model(model, saved_model)
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved_model)).convert())


def write_onnx(model: keras.Model, path: Path) -> None:
    model.export(path, format="onnx", verbose=False)


WRITERS = {"saved_model": write_saved_model, "tflite": write_tflite, "onnx": write_onnx}
