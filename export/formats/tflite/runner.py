"""LiteRT on images, for a file or for one that is still in memory."""

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_resnet.environment import quiet_stderr

from ..format import only


class LiteRTRunner:
    """A `.tflite` model with one signature. Integer outputs are dequantized.

    Args:
        **model: What the interpreter takes, `model_path` or `model_content`.
    """

    def __init__(self, **model: Any) -> None:
        with quiet_stderr():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
            interpreter = Interpreter(**model)
            interpreter.allocate_tensors()
        self._signature = interpreter.get_signature_runner()
        self._input, inputs = only(self._signature.get_input_details().items(), "inputs")
        self.output, outputs = only(self._signature.get_output_details().items(), "outputs")
        self._dtype, (self._scale, self._zero_point) = inputs["dtype"], outputs["quantization"]

    def run(self, images: np.ndarray) -> np.ndarray:
        """Computes uint8 (N, H, W, C) -> float32 (N, classes)."""
        output = self._signature(**{self._input: images.astype(self._dtype)})[self.output]
        if output.dtype == np.float32:
            return output
        return (output.astype(np.float32) - self._zero_point) * np.float32(self._scale)
