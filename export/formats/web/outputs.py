"""How the integers that a model gives are to be read; LiteRT.js does not say."""

from typing import Any

from ai_edge_litert.interpreter import Interpreter

from keras_resnet.environment import quiet_stderr


def output_quantization(model: bytes) -> dict[str, Any]:
    """{name: {"scale": float, "zero_point": int}} for each output of a `.tflite` file; 0 and 0 where they are floats."""
    with quiet_stderr():
        details = Interpreter(model_content=model).get_signature_runner().get_output_details()
    found = {name: output["quantization"] for name, output in details.items()}
    return {name: {"scale": float(scale), "zero_point": int(zero_point)} for name, (scale, zero_point) in found.items()}
