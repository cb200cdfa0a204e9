"""Training by Keras' `fit`: our network as it is, the same in stock layers, or the one of keras.applications.

There are no metrics and regularizers, which would make it slower.
"""

import gc
import importlib
from typing import Any

import keras

import keras_resnet
from keras_resnet.benchmarks.applications import APPLICATIONS
from keras_resnet.graph import macs

from ..network.classifier import build_model, dtype_policy_scope
from .candidates import WorkloadInfo
from .config import LEARNING_RATE, MOMENTUM, BenchmarkConfig
from .synthetic import synthetic_data

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


class Fit:
    def __init__(self, config: BenchmarkConfig) -> None:
        self.config = config

    def load_data(self, steps: int) -> None:
        data = synthetic_data(self.config, steps)
        self.images, self.labels = data.images.astype("float32"), data.labels
        self.epochs, self.steps = data.epochs, data.steps

    def build(self) -> None:
        with dtype_policy_scope(self.config.precision):
            self.model = self.network()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        jit_compile: Any = self.config.jit_compile or "auto"  # Keras annotates str
        self.model.compile(keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM), loss, jit_compile=jit_compile)

    def run(self) -> None:
        self.model.fit(self.images, self.labels, batch_size=self.config.batch_size, epochs=self.epochs, verbose=0)  # pyright: ignore[reportArgumentType]

    def network(self) -> keras.Model:
        raise NotImplementedError

    def info(self) -> WorkloadInfo:
        return {"macs": macs(self.model), "versions": versions()}


class Ours(Fit):
    def network(self) -> keras.Model:
        return zoo_network(self.config)


class Stock(Fit):
    def __init__(self, config: BenchmarkConfig) -> None:
        super().__init__(config)
        with dtype_policy_scope(config.precision):
            self._pattern = keras_resnet.to_stock(zoo_network(config))

    def network(self) -> keras.Model:
        """Builds layer by layer, as a user's code would; making our network, the pattern, is not part of the time."""
        network = keras.models.clone_model(self._pattern)
        del self._pattern
        gc.collect()
        return network


class Applications(Fit):
    def network(self) -> keras.Model:
        constructor = getattr(keras.applications, APPLICATIONS[self.config.model])
        classes = self.config.family.classes
        return constructor(weights=None, input_shape=self.config.input_shape, classes=classes, classifier_activation=None)


def versions() -> dict[str, str]:
    """Returns the versions of Keras and of the library under it."""
    backend = keras.backend.backend()
    return {BACKENDS[backend]: importlib.import_module(backend).__version__, "Keras": keras.__version__}


def zoo_network(config: BenchmarkConfig) -> keras.Model:
    """Builds the network of `config`, which gives logits."""
    return build_model(config, config.family.classes, input_shape=config.input_shape, classifier_activation=None)
