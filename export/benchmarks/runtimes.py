"""Each format in its own runtime: loaded with a number of threads, fed random pixels, one inference at a time.

No class imports what another one needs.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from keras_resnet.errors import UserError, comma_join


class Runtime(Protocol):
    """Made from a number of threads."""

    versions: dict[str, str]

    def load(self, path: str, batch_size: int) -> None:
        """Loads an artifact and prepares the images."""
        ...

    def run(self) -> np.ndarray:
        """Does one inference, from the array of images to the first output."""
        ...


class SavedModelRuntime:
    """TensorFlow without Keras, which it would import where it can."""

    def __init__(self, threads: int) -> None:
        sys.modules["keras"] = None  # pyright: ignore[reportArgumentType]
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._tf, self.versions = tf, {"TensorFlow": tf.__version__}

    def load(self, path: str, batch_size: int) -> None:
        self._model: Any = self._tf.saved_model.load(path)  # its variables live as long as it does
        self._serve = self._model.signatures["serving_default"]
        ((self._name, spec),) = self._serve.structured_input_signature[1].items()
        self.images = random_pixels(spec.shape.as_list(), batch_size, spec.dtype.as_numpy_dtype)

    def run(self) -> np.ndarray:
        output, *_ = self._serve(**{self._name: self._tf.constant(self.images)}).values()
        return output.numpy()


class TFLiteRuntime:
    """LiteRT."""

    def __init__(self, threads: int) -> None:
        from importlib.metadata import version

        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Callable[..., Any] = Interpreter
        self._threads, self.versions = threads, {"LiteRT": version("ai-edge-litert")}

    def load(self, path: str, batch_size: int) -> None:
        self._model = self._interpreter(path, num_threads=self._threads)
        (inputs,), (outputs, *_) = self._model.get_input_details(), self._model.get_output_details()
        self._input, self._output = inputs["index"], outputs["index"]
        # A batch of 1 is what files say that take any, when their input is resized. Others fail then, or give one output.
        batch, *sides = (None if size == -1 else int(size) for size in inputs["shape_signature"])
        self.images = random_pixels([None, *sides], batch_size, inputs["dtype"])
        self._model.resize_tensor_input(self._input, self.images.shape)
        try:
            self._model.allocate_tensors()
            outputs = len(self.run())
        except RuntimeError:
            outputs = None
        if outputs != batch_size:
            raise batch_error(batch, batch_size)

    def run(self) -> np.ndarray:
        self._model.set_tensor(self._input, self.images)
        self._model.invoke()
        return self._model.get_tensor(self._output)


class OnnxRuntime:
    """ONNX Runtime. Its threads wait without spinning, because the sessions of others are alive at the same time."""

    def __init__(self, threads: int) -> None:
        import onnxruntime

        self._runtime, self._options = onnxruntime, onnxruntime.SessionOptions()
        self._options.intra_op_num_threads, self._options.inter_op_num_threads = threads, 1
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.versions = {"ONNX Runtime": onnxruntime.__version__}

    def load(self, path: str, batch_size: int) -> None:
        self._session = self._runtime.InferenceSession(path, self._options, providers=["CPUExecutionProvider"])
        (inputs,) = self._session.get_inputs()
        self._name = inputs.name
        self.images = random_pixels(inputs.shape, batch_size, ONNX_TYPES[inputs.type])

    def run(self) -> np.ndarray:
        output, *_ = self._session.run(None, {self._name: self.images})
        return np.asarray(output)


ONNX_TYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
RUNTIMES: dict[str, Callable[[int], Runtime]] = {
    "saved_model": SavedModelRuntime,
    "tflite": TFLiteRuntime,
    "onnx": OnnxRuntime,
}


def runtime_of(format: str) -> Callable[[int], Runtime]:
    """Returns the runtime of a format, or raises a `UserError` for one that is not measured."""
    if format not in RUNTIMES:
        raise UserError(f"there is no runtime to measure {format} in; there are those of {comma_join(RUNTIMES)}")
    return RUNTIMES[format]


def batch_error(takes: Any, given: int) -> UserError:
    return UserError(f"takes a batch of {takes}, not of {given}")


def random_pixels(shape: Sequence[Any], batch_size: int, dtype: Any) -> np.ndarray:
    """Returns random images of an artifact's input shape, in which a free axis is not a number. Floats are 0 to 255, too."""
    max_batch, *sides = shape
    if isinstance(max_batch, int) and max_batch != batch_size:
        raise batch_error(max_batch, batch_size)
    if not all(isinstance(side, int) for side in sides):
        raise UserError(f"takes images of any size, {shape}: there is no size to measure it at")
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else (0, 255)
    return np.random.default_rng(0).integers(low, high, (batch_size, *sides), endpoint=True).astype(dtype)
