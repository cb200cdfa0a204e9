"""This package's training, with what the checks read out of it. The images are bytes, which are cheaper to bring to a GPU."""

from typing import Any

import keras
import numpy as np

from .. import keras_fit
from ..synthetic import DEVICE_BYTES, synthetic_data


class Fit(keras_fit.Ours):
    """Our network under Keras' `fit`, with any backend."""

    def load_data(self, steps: int) -> None:
        data = synthetic_data(self.config, steps, 1, DEVICE_BYTES)
        self.images, self.labels, self.epochs, self.steps = data.images, data.labels, data.epochs, data.steps

    @property
    def variables(self) -> list[keras.Variable]:
        return self.model.variables

    @property
    def momentums(self) -> list[keras.Variable]:
        optimizer: Any = self.model.optimizer
        return optimizer.momentums

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) -> (N, classes), by the network as it is used for inference."""
        return np.asarray(self.model.predict_on_batch(images.astype("float32")))
