"""Building alone: our constructor, and the same graph of stock layers, layer by layer."""

import keras
import tensorflow as tf

import keras_resnet

from ..model import build_model
from .stock import zoo_network


class Building:
    def __init__(self, config):
        self.config, self.steps = config, 1

    def load(self, steps):
        self.steps = steps

    def build(self):
        """That is what `run` does."""

    def run(self):
        for _ in range(self.steps):
            self.network()

    def facts(self):
        return {"macs": None, "versions": {"TensorFlow": tf.__version__, "Keras": keras.__version__}}


class Ours(Building):
    def network(self):
        shape = (self.config.side, self.config.side, 3)
        return build_model(self.config, self.config.family.classes, input_shape=shape)


class Stock(Building):
    def __init__(self, config):
        super().__init__(config)
        self._pattern = keras_resnet.to_stock(zoo_network(config))

    def network(self):
        return keras.models.clone_model(self._pattern)
