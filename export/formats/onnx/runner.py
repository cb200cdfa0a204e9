"""ONNX Runtime on images, for a file or for one that is still in memory."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnxruntime

from ..format import only


class OnnxRunner:
    """An `.onnx` model with one input, pixels in either layout: a path or a file's bytes.

    Args:
        model: The path, or the bytes.
        settings: Entries of ONNX Runtime's session configuration, by their keys.
    """

    def __init__(self, model: str | bytes, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        options = onnxruntime.SessionOptions()
        for key, value in settings.items():
            options.add_session_config_entry(key, value)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._channels_first = self._session.get_modelmeta().custom_metadata_map.get("layout") == "nchw"
        pixels = only(self._session.get_inputs(), "inputs")
        self._input, self._dtype = pixels.name, np.float32 if pixels.type == "tensor(float)" else np.uint8
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C) -> {output: float32 (N, ...)}."""
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self._channels_first else images
        outputs = self._session.run(None, {self._input: images.astype(self._dtype, copy=False)})
        return {name: np.asarray(output) for name, output in zip(self.outputs, outputs, strict=True)}
