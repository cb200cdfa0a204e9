"""Each format in the runtime that it is for: loaded with a number of threads, fed random pixels, one inference at a time.

None of them imports what another one needs.
"""

import sys

import numpy as np

from keras_resnet.errors import UserError


class SavedModelRunner:
    """In TensorFlow, and without Keras, which it imports where it can."""

    def __init__(self, threads):
        sys.modules["keras"] = None
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._tf, self.versions = tf, {"TensorFlow": tf.__version__}

    def load(self, path, batch_size):
        self._model = self._tf.saved_model.load(path)  # its variables live as long as it
        self._serve = self._model.signatures["serving_default"]
        ((self._name, given),) = self._serve.structured_input_signature[1].items()
        self.images = pixels(given.shape.as_list(), batch_size, given.dtype.as_numpy_dtype)

    def run(self):
        (output,) = self._serve(**{self._name: self._tf.constant(self.images)}).values()
        return output.numpy()


class TFLiteRunner:
    """In LiteRT."""

    def __init__(self, threads):
        from importlib.metadata import version

        from ai_edge_litert.interpreter import Interpreter

        self._interpreter, self._threads = Interpreter, threads
        self.versions = {"LiteRT": version("ai-edge-litert")}

    def load(self, path, batch_size):
        self._model = self._interpreter(path, num_threads=self._threads)
        (given,), (taken,) = self._model.get_input_details(), self._model.get_output_details()
        self._given, self._taken = given["index"], taken["index"]
        shape = [None if size == -1 else int(size) for size in given["shape_signature"]]
        self.images = pixels(shape, batch_size, given["dtype"])
        self._model.resize_tensor_input(self._given, self.images.shape)
        self._model.allocate_tensors()

    def run(self):
        self._model.set_tensor(self._given, self.images)
        self._model.invoke()
        return self._model.get_tensor(self._taken)


class OnnxRunner:
    """In ONNX Runtime. Its threads wait without spinning: the sessions of others are alive beside it."""

    def __init__(self, threads):
        import onnxruntime

        self._runtime, self._options = onnxruntime, onnxruntime.SessionOptions()
        self._options.intra_op_num_threads, self._options.inter_op_num_threads = threads, 1
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.versions = {"ONNX Runtime": onnxruntime.__version__}

    def load(self, path, batch_size):
        self._session = self._runtime.InferenceSession(path, self._options, providers=["CPUExecutionProvider"])
        (given,) = self._session.get_inputs()
        self._name = given.name
        self.images = pixels(given.shape, batch_size, TYPES[given.type])

    def run(self):
        return self._session.run(None, {self._name: self.images})[0]


TYPES = {"tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(float)": np.float32, "tensor(float16)": np.float16}
RUNNERS = {"saved_model": SavedModelRunner, "tflite": TFLiteRunner, "onnx": OnnxRunner}


def pixels(shape, batch_size, dtype):
    """Random images of a file's input shape, in which a free axis is no number. Where they are floats, 0 to 255."""
    most, *rest = (size if isinstance(size, int) else None for size in shape)
    if most not in (None, batch_size):
        raise UserError(f"takes a batch of {most}, not of {batch_size}")
    if None in rest:
        raise UserError(f"takes images of any size, {shape}: there is none to measure at")
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else (0, 255)
    return np.random.default_rng(0).integers(low, high, (batch_size, *rest), endpoint=True).astype(dtype)
