"""Core ML Tools: converts a SavedModel anywhere, and runs what came out on macOS."""
# pyright: reportMissingImports=false

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import coremltools
import numpy as np
import tensorflow as tf
from protocol import Outputs, Run, answer


def load(artifact: dict[str, Any], size: int) -> Run | str:
    """By one signature: Core ML Tools does not choose among several."""
    saved = tf.saved_model.load(artifact["path"])
    signature = saved.signatures["serving_default"]
    ((name, spec),) = signature.structured_input_signature[1].items()
    inputs = [coremltools.TensorType(name=name, shape=[size, *spec.shape[1:]], dtype=np.float32)]
    model = coremltools.convert([signature], inputs=inputs, source="tensorflow", convert_to="mlprogram")
    if sys.platform != "darwin":
        (block,) = model.get_spec().mlProgram.functions["main"].block_specializations.values()
        return f"converted, {len(block.operations)} operations; runs on macOS"

    def run(images: np.ndarray) -> Outputs:
        return {key: np.asarray(value) for key, value in model.predict({name: images.astype(np.float32)}).items()}

    return run


answer({"coremltools": coremltools.__version__, "tensorflow": tf.__version__}, load)
