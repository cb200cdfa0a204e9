"""LiteRT and ONNX Runtime on images, for a file or for one that is still in memory."""

import numpy as np

from keras_resnet.environment import quiet_stderr

BATCH_SIZE = 64


class LiteRT:
    """A `.tflite` model with one signature, given as the interpreter wants it; what comes out as integers is made float."""

    def __init__(self, **model):
        from ai_edge_litert.interpreter import Interpreter

        with quiet_stderr():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
            interpreter = Interpreter(**model)
            interpreter.allocate_tensors()
        self._run = interpreter.get_signature_runner()
        ((self._input, given),) = self._run.get_input_details().items()
        ((self.output, taken),) = self._run.get_output_details().items()
        self._dtype, (self._scale, self._zero_point) = given["dtype"], taken["quantization"]

    def run(self, images):
        """uint8 (N, H, W, C) -> float32 (N, classes)."""
        output = self._run(**{self._input: images.astype(self._dtype)})[self.output]
        if output.dtype == np.float32:
            return output
        return (output.astype(np.float32) - self._zero_point) * np.float32(self._scale)


class OnnxRuntime:
    """An `.onnx` model with one input, pixels in either layout: a path or a file's bytes."""

    def __init__(self, model):
        import onnxruntime

        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._channels_first = self._session.get_modelmeta().custom_metadata_map.get("layout") == "nchw"
        ((given,), (taken,)) = self._session.get_inputs(), self._session.get_outputs()
        self._input, self.output = given.name, taken.name

    def run(self, images):
        """uint8 (N, H, W, C) -> float32 (N, classes)."""
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self._channels_first else images
        return self._session.run(None, {self._input: images})[0]


def run_tflite(content, images):
    """The outputs of a `.tflite` file's bytes, (N, classes), for uint8 (N, H, W, C)."""
    return in_batches(LiteRT(model_content=content).run, images)


def run_onnx(proto, images):
    """The outputs of an `onnx.ModelProto`, (N, classes), for uint8 (N, H, W, C)."""
    return in_batches(OnnxRuntime(proto.SerializeToString()).run, images)


def in_batches(run, images):
    return np.concatenate([run(images[start : start + BATCH_SIZE]) for start in range(0, len(images), BATCH_SIZE)])
