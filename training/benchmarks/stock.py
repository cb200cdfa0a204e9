"""Keras' `fit`: our network as it is, the same in stock layers, or the one of keras.applications.

Without metrics and regularisers, which would make it slower.
"""

import gc

import keras
import tensorflow as tf

import keras_resnet
from keras_resnet.benchmarks.applications import APPLICATIONS
from keras_resnet.models.graph import macs

from ..model import build_model
from .config import LEARNING_RATE, MOMENTUM
from .synthetic import synthetic


class Fit:
    def __init__(self, config):
        self.config = config

    def load(self, steps):
        images, self.labels, self.epochs = synthetic(self.config, steps)
        self.images = images.astype("float32")
        self.steps = self.epochs * len(self.labels) // self.config.batch_size

    def build(self):
        self.model = self.network()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM), loss)

    def run(self):
        self.model.fit(self.images, self.labels, batch_size=self.config.batch_size, epochs=self.epochs, verbose=0)

    def facts(self):
        versions = {"TensorFlow": tf.__version__, "Keras": keras.__version__}
        return {"macs": macs(self.model), "versions": versions}


class Fast(Fit):
    def network(self):
        return zoo_network(self.config)


class Stock(Fit):
    def __init__(self, config):
        super().__init__(config)
        self._pattern = keras_resnet.to_stock(zoo_network(config))

    def network(self):
        """Layer by layer, as a user's code would; ours, which the pattern comes from, is not in the time."""
        network = keras.models.clone_model(self._pattern)
        del self._pattern
        gc.collect()
        return network


def zoo_network(config):
    shape = (config.side, config.side, 3)
    return build_model(config, config.family.classes, input_shape=shape, classifier_activation=None)


class Applications(Fit):
    def network(self):
        shape = (self.config.side, self.config.side, 3)
        make = getattr(keras.applications, APPLICATIONS[self.config.model])
        return make(weights=None, input_shape=shape, classes=self.config.family.classes, classifier_activation=None)
