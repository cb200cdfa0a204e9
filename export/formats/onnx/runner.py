"""ONNX Runtime on images, for a file or for one that is still in memory."""

import numpy as np
import onnxruntime

from ..format import only


class OnnxRunner:
    """An `.onnx` model with one input, pixels in either layout: a path or a file's bytes."""

    def __init__(self, model: str | bytes) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._channels_first = self._session.get_modelmeta().custom_metadata_map.get("layout") == "nchw"
        pixels = only(self._session.get_inputs(), "inputs")
        self._input, self._dtype = pixels.name, np.float32 if pixels.type == "tensor(float)" else np.uint8
        self.output = only(self._session.get_outputs(), "outputs").name

    def run(self, images: np.ndarray) -> np.ndarray:
        """Computes uint8 (N, H, W, C) -> float32 (N, classes)."""
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self._channels_first else images
        (outputs,) = self._session.run(None, {self._input: images.astype(self._dtype, copy=False)})
        return np.asarray(outputs)
