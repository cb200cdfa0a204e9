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
        self._dtype, details = inputs["dtype"], self._signature.get_output_details()
        self._quantization = {name: output["quantization"] for name, output in details.items()}
        self.outputs = list(details)

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C) -> {output: float32 (N, ...)}."""
        outputs = self._signature(**{self._input: images.astype(self._dtype)})
        return {name: dequantized(output, *self._quantization[name]) for name, output in outputs.items()}


def dequantized(output: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """The numbers that integers stand for; floats as they are."""
    return output if output.dtype == np.float32 else (output.astype(np.float32) - zero_point) * np.float32(scale)
