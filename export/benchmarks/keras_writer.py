"""The process that writes what Keras makes of a model, everything as it is by default: SavedModel, TFLite and ONNX."""

from pathlib import Path

import numpy as np

from keras_resnet import environment
from keras_resnet.errors import UserError


class Writer:
    def __init__(self):
        environment.configure("quiet")
        self._models = {}

    def write(self, format, path, model_path, application):
        """application: a function of keras.applications, whose network is written in place of the one in `model_path`."""
        FORMATS[format](self._model(model_path, application), Path(path))

    def describe(self, path, model_path):
        """Writes the network and its weights down for PyTorch."""
        from keras_resnet.benchmarks import description

        description.write(self._model(model_path), path)

    def _model(self, path, application=None):
        from keras_resnet.saving import load_as_saved

        if (path, application) not in self._models:
            model = load_as_saved(path)
            model = torch_model(model, application) if application else model
            model(np.zeros((1, *model.input_shape[1:]), "float32"))  # Keras writes no ONNX of what was never called
            self._models[path, application] = model
        return self._models[path, application]


def torch_model(model, application):
    """The network of keras.applications for the same images and classes, with random weights."""
    import keras

    make = getattr(keras.applications, application)
    network = make(weights=None, input_shape=model.input_shape[1:], classes=model.output_shape[1])
    if kernels(network) != kernels(model):
        raise UserError(f"keras.applications' {application} has other convolutions than this {model.name}")
    return network


def kernels(model):
    return sorted(tuple(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel"))


def write_saved_model(model, path):
    model.export(path, format="tf_saved_model", verbose=False)


def write_tflite(model, path):
    import tensorflow as tf

    saved_model = path.with_name("saved_model")
    if not saved_model.exists():
        write_saved_model(model, saved_model)
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved_model)).convert())


def write_onnx(model, path):
    model.export(path, format="onnx", verbose=False)


FORMATS = {"saved_model": write_saved_model, "tflite": write_tflite, "onnx": write_onnx}
