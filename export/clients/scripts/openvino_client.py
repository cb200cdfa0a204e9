"""OpenVINO, on the CPU. Its plugin may choose bfloat16 on the newest processors: float32 is asked for."""
# pyright: reportMissingImports=false

from typing import Any

import numpy as np
import openvino
from protocol import Outputs, Run, answer

core = openvino.Core()


def load(artifact: dict[str, Any], size: int) -> Run:
    model = core.read_model(artifact["path"])
    shape = model.inputs[0].partial_shape
    if shape[0].is_static:  # a TFLite file says 1, and takes others when it is asked to
        model.reshape([size, *list(shape)[1:]])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    dtype = compiled.inputs[0].element_type.to_dtype()
    signature = {port: sorted(port.get_names()) for port in compiled.outputs}

    def run(images: np.ndarray) -> Outputs:
        images = images.transpose(0, 3, 1, 2) if artifact["layout"] == "nchw" else images
        outputs = compiled([np.ascontiguousarray(images, dtype)])
        return {(names or ["output"])[0]: np.asarray(outputs[port]) for port, names in signature.items()}

    return run


answer({"openvino": openvino.__version__.partition("-")[0]}, load)
