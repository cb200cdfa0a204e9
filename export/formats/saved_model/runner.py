"""TensorFlow on images, for a SavedModel folder."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_resnet.errors import UserError
from keras_resnet.files import without_pattern

from ..format import INPUT, only

SIGNATURE = "serving_default"


class SavedModelRunner:
    """The signature `serving_default` of a SavedModel. function: its `tf.ConcreteFunction`."""

    def __init__(self, path: Path) -> None:
        with without_pattern(path) as folder:
            self._model = tf.saved_model.load(str(folder))  # which its signatures do not keep alive
        if SIGNATURE not in self._model.signatures:
            raise UserError(f"it has no signature {SIGNATURE}")
        self.function = self._model.signatures[SIGNATURE]
        self._dtype = self.function.structured_input_signature[1][INPUT].dtype
        self.output = only(self.function.structured_outputs, "outputs")

    def run(self, images: np.ndarray) -> np.ndarray:
        """Computes uint8 (N, H, W, C) -> float32 (N, classes)."""
        return self.function(**{INPUT: tf.cast(images, self._dtype)})[self.output].numpy()
