"""TensorFlow on images, for a SavedModel folder."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_resnet.errors import UserError
from keras_resnet.files import without_pattern

from ..format import GRADCAM, only

SIGNATURE = "serving_default"


class SavedModelRunner:
    """The signature `serving_default` of a SavedModel, or `gradcam`, which has more outputs.

    function: Its `tf.ConcreteFunction`.
    """

    def __init__(self, path: Path) -> None:
        with without_pattern(path) as folder:
            self._model = tf.saved_model.load(str(folder))  # which its signatures do not keep alive
        if SIGNATURE not in self._model.signatures:
            raise UserError(f"it has no signature {SIGNATURE}")
        self.function = self._model.signatures[GRADCAM if GRADCAM in self._model.signatures else SIGNATURE]
        pixels = only(self.function.structured_input_signature[1].values(), "inputs")
        self._input, self._dtype = pixels.name, pixels.dtype.as_numpy_dtype
        self.outputs = list(self.function.structured_outputs)

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C) -> {output: float32 (N, ...)}."""
        pixels = tf.constant(images.astype(self._dtype, copy=False))
        return {name: output.numpy() for name, output in self.function(**{self._input: pixels}).items()}
