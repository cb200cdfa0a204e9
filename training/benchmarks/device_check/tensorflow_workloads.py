"""Training by this package's own loop, which needs TensorFlow, with what the checks read out of it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...data.splits import ArraySplit
from ...distribute.strategies import make_strategy
from .. import train_loop
from ..config import BenchmarkConfig
from ..synthetic import DEVICE_BYTES, synthetic_data


class Ours(train_loop.Ours):
    def load_data(self, steps: int) -> None:
        data = synthetic_data(self.config, steps, 1, DEVICE_BYTES)
        self.split, self.epochs, self.steps = ArraySplit(data.images, data.labels), data.epochs, data.steps

    @property
    def images(self) -> np.ndarray:
        return self.split.images[:]

    @property
    def variables(self) -> list[keras.Variable]:
        return self.loop.step.network.variables

    @property
    def momentums(self) -> list[keras.Variable]:
        optimizer: Any = self.loop.step.update.optimizer
        return optimizer.momentums

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) -> (N, classes), by the network as it is used for inference."""
        return self.loop.step.network(tf.constant(images, tf.float32), False).numpy()


class Mirrored(Ours):
    """Under `--strategy=mirrored`, with the one device that there is."""

    def __init__(self, config: BenchmarkConfig) -> None:
        super().__init__(config)
        self.strategy = make_strategy("mirrored")
        assert self.strategy.num_replicas_in_sync == 1
