"""What the page has to be told about a model's outputs; LiteRT.js says nothing of how integers are to be read."""

from typing import Any

from ai_edge_litert.interpreter import Interpreter

from keras_resnet.environment import quiet_stderr


def describe_outputs(model: bytes) -> dict[str, Any]:
    """{name: {"shape", "scale", "zero_point"}} for each output of a `.tflite` file.

    The shape is that for one image. An integer q stands for scale * (q - zero_point); both are 0 where the output is in floats.
    """
    with quiet_stderr():
        details = Interpreter(model_content=model).get_signature_runner().get_output_details()
    return {
        name: {
            "shape": [int(side) for side in output["shape"][1:]],
            "scale": float(output["quantization"][0]),
            "zero_point": int(output["quantization"][1]),
        }
        for name, output in details.items()
    }
