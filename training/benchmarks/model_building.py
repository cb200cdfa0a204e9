"""Building alone: this package's constructor, and the same graph of stock layers, layer by layer."""

import keras

import keras_resnet

from ..network.classifier import build_model
from .candidates import WorkloadInfo
from .config import BenchmarkConfig
from .keras_fit import versions, zoo_network


class Building:
    def __init__(self, config: BenchmarkConfig) -> None:
        self.config, self.steps = config, 1

    def load_data(self, steps: int) -> None:
        self.steps = steps

    def build(self) -> None:
        """Does nothing: building is what `run` measures."""

    def run(self) -> None:
        for _ in range(self.steps):
            self.network()

    def network(self) -> keras.Model:
        raise NotImplementedError

    def info(self) -> WorkloadInfo:
        return {"macs": None, "versions": versions()}


class Ours(Building):
    def network(self) -> keras.Model:
        return build_model(self.config, self.config.family.classes, input_shape=self.config.input_shape)


class Stock(Building):
    def __init__(self, config: BenchmarkConfig) -> None:
        super().__init__(config)
        self._pattern = keras_resnet.to_stock(zoo_network(config))

    def network(self) -> keras.Model:
        return keras.models.clone_model(self._pattern)
