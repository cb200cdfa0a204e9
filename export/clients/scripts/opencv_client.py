"""OpenCV's dnn module, on the CPU. Its reader of TFLite files turns the network round to channels first, and takes floats."""
# pyright: reportMissingImports=false

from typing import Any

import cv2
import numpy as np
from protocol import Outputs, Run, answer

READERS = {"onnx": cv2.dnn.readNetFromONNX, "tflite": cv2.dnn.readNetFromTFLite}


def load(artifact: dict[str, Any], size: int) -> Run:
    network = READERS[artifact["format"]](artifact["path"])
    names = network.getUnconnectedOutLayersNames()
    is_tflite = artifact["format"] == "tflite"

    def run(images: np.ndarray) -> Outputs:
        images = images.transpose(0, 3, 1, 2) if is_tflite or artifact["layout"] == "nchw" else images
        network.setInput(np.ascontiguousarray(images, np.float32 if is_tflite else artifact["dtype"]))
        return {name: np.asarray(output) for name, output in zip(names, network.forward(names), strict=True)}

    return run


answer({"opencv": cv2.__version__}, load)
