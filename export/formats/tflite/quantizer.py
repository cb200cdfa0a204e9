"""Smaller and faster `.tflite` files, by Google's LiteRT Quantizer.

What full int8 needs beyond its recipe, each measured with LiteRT 2.3 on x86:

- Operators that XNNPACK, LiteRT's fast path, does not take in int8 split the network into parts, which then runs ten times
  slower. A stand-alone RELU is one; it is replaced by a 1x1 MAX_POOL_2D with a fused ReLU, which is the same, and free. The
  softmax is another; it stays in float, between two conversions that XNNPACK takes. So does MobileNetV3's HARD_SWISH (1.4 ms
  instead of 4.6), except in a file of logits, which is for accelerators that take integers only, and this one among them. What
  is left outside is the cast of the pixels from uint8 to int8.
- The edges are uint8, which is what MediaPipe takes: pixels of scale 1 go in as they are, probabilities come out in 1/256.
  Float32 pixels are quantized by the first operator, to the same integers; XNNPACK takes that one as well.
- Ranges of activations are those of all calibration images. The quantizer's own moving average cuts off what few images
  reach: on CIFAR-10 it changed 3.2 % of the predictions, where the full ranges change 1.7 %.
- A kernel of zeros, as of padded channels, gets a scale of nearly 0 from the quantizer; its bias, counted in that scale,
  overflows, unless the range is widened. The same holds for int16x8.

`mse` chooses the scale of each kernel's channel that makes the squared error of its weights least, where `minmax` takes the
largest weight. It applies to int8_dynamic and int8_weight as well. The ranges of activations, for which the quantizer has no
choice, are the full ones in either case.
"""

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from litert_quantizer import qtyping
from litert_quantizer.quantizer import Quantizer

from keras_resnet._litert_internals import editable_model, operator_name, schema, serialize_model
from keras_resnet._quantizer_internals import calibrate_min_max, large_kernels_in_parts
from keras_resnet.environment import cores, quiet_stderr
from keras_resnet.errors import UserError, comma_join

from ..select_operators import select_operators
from .int8 import KERNEL_AXES, Ranges, replace_relu_with_max_pool, tensor_name, tensor_range, unfit_for_clipping, weight_ranges
from .noise import signal_to_noise

# fmt: off
QUANTIZATIONS = {  # the method of `Quantizer` that adds it, and its arguments; weights have a scale for each channel
    "fp16":         ("add_weight_only_config", {"num_bits": 16, "algorithm_key": "float_casting"}),
    "int8_dynamic": ("add_dynamic_config",     {"num_bits": 8}),
    "int8_weight":  ("add_weight_only_config", {"num_bits": 8}),
    "int8":         ("add_static_config",      {"activation_num_bits": 8, "weight_num_bits": 8}),
    "int16x8":      ("add_static_config",      {"activation_num_bits": 16, "weight_num_bits": 8}),
}
# fmt: on
STATIC = ("int8", "int16x8")  # whose activations are integers, and which are calibrated
PIXELS_AT_ONCE = 2**12  # in a batch of calibration, all of whose activations are in memory
OVERFLOW = 1e30  # the quantizer leaves out what is infinite or NaN; this is on the way to it
PIXEL_TYPES = {schema.TensorType.UINT8: "uint8", schema.TensorType.FLOAT32: "float32"}
FLOAT = "no_quantize"
CALIBRATIONS = ("minmax", "mse")
LEAST_SQUARED_ERROR = "OCTAV"  # Sakr et al. 2022, arXiv:2206.06501. What the quantizer calls MSE supposes normal kernels
UINT8 = qtyping.OpQuantizationConfig(
    activation_tensor_config=qtyping.TensorQuantizationConfig(8, symmetric=False, dtype=qtyping.TensorDataType.UINT),
    weight_tensor_config=qtyping.TensorQuantizationConfig(8, granularity=qtyping.QuantGranularity.CHANNELWISE),
    compute_precision=qtyping.ComputePrecision.INTEGER,
)


class TFLiteQuantizer:
    """A float `.tflite` file, calibrated once, and quantized as often as there are choices of what stays float.

    Attributes:
        operators: What can stay float, by the names of their output tensors, see `unique_name`.

    Args:
        content: The file's bytes, with one signature; for int8 it takes float32 pixels.
        quantization: A key of `QUANTIZATIONS`.
        images: uint8 (N, H, W, C), of the training split, not augmented; `STATIC` ones are calibrated on them, the others need
            none.
        calibration: One of `CALIBRATIONS`.
        input_dtype: Of the pixels that a full int8 file takes, "uint8" or "float32"; other files take what `content` takes.

    Raises:
        UserError: For an unknown quantization or calibration, and where images are missing.
    """

    def __init__(
        self,
        content: bytes,
        quantization: str,
        images: np.ndarray | None,
        calibration: str = "minmax",
        input_dtype: str = "uint8",
    ) -> None:
        if quantization not in QUANTIZATIONS:
            raise UserError(f"unknown quantization {quantization!r} for TFLite; it is one of {comma_join(QUANTIZATIONS)}")
        if calibration not in CALIBRATIONS:
            raise UserError(f"unknown calibration {calibration!r} for TFLite; it is one of {comma_join(CALIBRATIONS)}")
        self.quantization, self._calibration, self._input_dtype = quantization, calibration, input_dtype
        model = editable_model(content)
        (graph,), (signature,) = model.subgraphs, model.signatureDefs
        (pixels,) = signature.inputs
        outputs = {output.name.decode(): output.tensorIndex for output in signature.outputs}
        self._gives_probabilities = list(outputs) == ["probabilities"]
        pixel_type = graph.tensors[pixels.tensorIndex].type
        if quantization == "int8":
            assert pixel_type == schema.TensorType.FLOAT32, "int8 needs a file of float32 pixels"
            replace_relu_with_max_pool(model)
            content = serialize_model(model)
        self._content = content
        can_stay = [operator for operator in graph.operators if operator_name(model, operator) != "SOFTMAX"]
        self._outputs = {unique_name(graph, operator): tensor_name(graph, operator.outputs[0]) for operator in can_stay}
        self.operators = list(self._outputs)
        self._ranges: Ranges | None = None
        self._unfit: list[str] = []
        self._pixels = Pixels(signature.signatureKey.decode(), pixels.name.decode(), PIXEL_TYPES[pixel_type])
        if quantization in STATIC:
            if images is None or not len(images):
                raise UserError(f"{quantization} needs images to be calibrated on")
            self._ranges = self._calibrate(images)
            self._ranges |= weight_ranges(model, self._ranges, QUANTIZATIONS[quantization][1]["activation_num_bits"])
            if quantization == "int8":
                self._ranges |= tensor_range(graph, pixels.tensorIndex, 0, 255)
                if "probabilities" in outputs:
                    self._ranges |= tensor_range(graph, outputs["probabilities"], 0, 255 / 256)
        if calibration == "mse":
            self._unfit = unfit_for_clipping(model, self._ranges or {})

    def quantize(self, keep_float: Sequence[str] = ()) -> bytes:
        """Returns the bytes of the quantized file. Its edges are integers in int8, and otherwise as they were.

        Args:
            keep_float: Operators that stay as they are, by their names or by parts of them, such as a Keras layer's name.

        Raises:
            UserError: For an unknown operator.
        """
        kept = [self._outputs[name] for name in select_operators(self.operators, keep_float)]
        quantizer = self._quantizer(kept)
        with quietly(), large_kernels_in_parts():
            result = quantizer.quantize(self._ranges, enable_progress_report=False)  # pyright: ignore[reportArgumentType]
        assert result.quantized_model is not None
        return bytes(result.quantized_model)

    def _quantizer(self, kept: Sequence[str] = ()) -> Quantizer:
        """A quantizer with its recipe, in which later entries take precedence."""
        quantizer, operations = Quantizer(self._content), qtyping.TFLOperationName
        add, arguments = QUANTIZATIONS[self.quantization]
        getattr(quantizer, add)(".*", operations.ALL_SUPPORTED, **arguments)
        if self._calibration == "mse" and self.quantization != "fp16":
            for operation in KERNEL_AXES:
                getattr(quantizer, add)(".*", operations(operation), **arguments, algorithm_key=LEAST_SQUARED_ERROR)
            if self._unfit:
                getattr(quantizer, add)(scope(self._unfit), operations.ALL_SUPPORTED, **arguments)
        if self.quantization == "int8":
            if self._input_dtype == "uint8":
                quantizer.update_quantization_recipe(".*", operations.INPUT, UINT8)
            else:
                quantizer.update_quantization_recipe(".*", operations.INPUT, algorithm_key=FLOAT)
            if self._gives_probabilities:  # logits come out of their operator in int8: a cast would be outside of XNNPACK
                quantizer.update_quantization_recipe(".*", operations.OUTPUT, UINT8)
                quantizer.update_quantization_recipe(".*", operations.HARD_SWISH, algorithm_key=FLOAT)
        if self.quantization == "int16x8":
            for edge in (operations.INPUT, operations.OUTPUT):
                quantizer.update_quantization_recipe(".*", edge, algorithm_key=FLOAT)
        if self.quantization in STATIC:
            quantizer.update_quantization_recipe(".*", operations.SOFTMAX, algorithm_key=FLOAT)
        if kept:
            quantizer.update_quantization_recipe(scope(kept), operations.ALL_SUPPORTED, algorithm_key=FLOAT)
        return quantizer

    def signal_to_noise(self, images: np.ndarray, keep_float: Sequence[str] = ()) -> dict[str, float]:
        """Measures how much noise each operator adds by being quantized; see `formats.format.Quantizer`."""
        quantized = self.quantize(keep_float)
        with quietly():
            decibels = signal_to_noise(self._content, quantized, self._pixels.batches(images))
        return {name: decibels[output] for name, output in self._outputs.items() if output in decibels}

    def _calibrate(self, images: np.ndarray) -> Ranges:
        """Measures the least and the largest value of each tensor, over all images."""
        recipe = self._quantizer().get_quantization_recipe()
        batches = {self._pixels.signature: list(self._pixels.batches(images))}
        with quietly():
            ranges = calibrate_min_max(self._content, recipe, batches, cores())
        for name, ends in ranges.items():
            if not max(np.abs(ends["min"]).max(), np.abs(ends["max"]).max()) < OVERFLOW:
                raise UserError(f"{self.quantization} has no range for {name}, which overflows on the calibration images")
        return ranges


def scope(outputs: Sequence[str]) -> str:
    """A pattern of the recipe for the operators with these outputs; it is matched with their names and a semicolon."""
    return f"^(?:{'|'.join(re.escape(name) for name in outputs)});$"


@dataclasses.dataclass(frozen=True)
class Pixels:
    """The input of a float file: the name of its signature, its own name, and its dtype."""

    signature: str
    name: str
    dtype: str

    def batches(self, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """Yields uint8 (N, H, W, C) some images at a time, as the file takes them."""
        step = max(1, PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
        for start in range(0, len(images), step):
            yield {self.name: images[start : start + step].astype(self.dtype)}


def unique_name(graph: Any, operator: Any) -> str:
    """The name of an operator's output; for the operator that computes the file's output, its kernel's name as well.

    The file's output has the name of the signature, which says nothing about the layer.
    """
    name = tensor_name(graph, operator.outputs[0])
    unnamed = name.startswith("StatefulPartitionedCall") and len(operator.inputs) > 1
    return f"{name};{tensor_name(graph, operator.inputs[1])}" if unnamed else name


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppresses the quantizer's progress bars, and its interpreter's warning that it keeps all tensors."""
    with quiet_stderr(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors", category=UserWarning)
        yield
