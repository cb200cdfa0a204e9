"""Smaller and faster ONNX files, by ONNX Runtime's own tools.

What full int8 is made of was chosen by measurement, with ONNX Runtime 1.32:

- Activations in uint8 and kernels in int8, per channel, run twice as fast as float32 on a CPU with VNNI instructions.
  Activations in int8 do not: ONNX Runtime leaves convolutions in float32 then, between Transposes. Kernels in uint8 do not
  either: they take 2.1 times as long as int8 ones there, and longer than float32 elsewhere.
- Kernels have seven bits (`reduce_range`). With eight, x86 CPUs without VNNI saturate, see `saturation`: a ResNet-20 then
  gives its float network's prediction for 92.25 % of 2,000 CIFAR-10 test images, and for 98.25 % on other CPUs. With seven bits
  it is 97.80 % on both, and the time is the same. A ResNet-110 loses half a decibel of its logits by the eighth bit.
- Dense layers: the last one, whose outputs are compared with each other, stays in float. The others multiply in integers and
  add their biases in float, see `dense`.
"""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization as ort_quantization

from keras_resnet._onnxruntime_internals import to_float16
from keras_resnet.errors import UserError, comma_join

from ..select_operators import select_operators
from .dense import head_layers, separate_biases
from .noise import signal_to_noise
from .options import check_opset_of_int8

QUANTIZATIONS = ("fp16", "int8")
CALIBRATIONS = {  # ONNX Runtime's names
    "minmax": ort_quantization.CalibrationMethod.MinMax,
    "percentile": ort_quantization.CalibrationMethod.Percentile,
    "entropy": ort_quantization.CalibrationMethod.Entropy,
}
UNCHANGED = ("MaxPool", "Pad", "Transpose", "Squeeze")  # operators that hand on integers as they come
# Not Sub, Mul and Softmax: the normalization of the pixels and the probabilities need more than eight bits, and cost little.
OPERATORS = ("Conv", "Gemm", "MatMul", "Add", "Relu", "AveragePool", "GlobalAveragePool", *UNCHANGED)
PIXELS_AT_ONCE = 2**13  # in a batch of calibration, of which ONNX Runtime keeps much in memory


class OnnxQuantizer:
    """A float network, calibrated once, and quantized as often as there are choices of what stays float.

    Attributes:
        operators: What can stay float, by the names of outputs and kernels: not every node is named after its Keras layer.

    Args:
        proto: The network, which stays as it is.
        quantization: One of `QUANTIZATIONS`.
        images: uint8 (N, H, W, C), of the training split, not augmented; int8 is calibrated on them, fp16 needs none.
        calibration: A key of `CALIBRATIONS`.

    Raises:
        UserError: For an unknown quantization, for a file that is too old for int8, and where images are missing.
    """

    def __init__(
        self, proto: onnx.ModelProto, quantization: str, images: np.ndarray | None, calibration: str = "minmax"
    ) -> None:
        if quantization not in QUANTIZATIONS:
            raise UserError(f"unknown quantization {quantization!r} for ONNX; it is one of {comma_join(QUANTIZATIONS)}")
        if calibration not in CALIBRATIONS:
            raise UserError(f"unknown calibration {calibration!r} for ONNX; it is one of {comma_join(CALIBRATIONS)}")
        self.quantization, self._images, self._calibration = quantization, images, calibration
        self._original = self._float = proto
        self._ranges: str | None = None
        self._always_float: list[str] = []
        if quantization == "int8":
            (opset,) = (entry.version for entry in proto.opset_import if not entry.domain)
            check_opset_of_int8(opset)
            if images is None or not len(images):
                raise UserError("int8 needs images to be calibrated on")
            self._float = preprocessed(proto)
            self._always_float = [*head_layers(self._float.graph), *separate_biases(self._float)]
        constants = {tensor.name for tensor in self._float.graph.initializer}
        nodes = [node for node in self._float.graph.node if quantization == "fp16" or node.op_type in OPERATORS]
        self._node_names = {";".join([*node.output, *constants.intersection(node.input[1:2])]): node.name for node in nodes}
        self.operators = list(self._node_names)

    def quantize(self, keep_float: Sequence[str] = ()) -> onnx.ModelProto:
        """Returns the quantized network, a new one, with the edges that it had, uint8 and float32.

        Args:
            keep_float: Operators that stay as they are, by their names or by parts of them, such as a Keras layer's name.

        Raises:
            UserError: For an unknown operator.
        """
        kept = [self._node_names[name] for name in select_operators(self.operators, keep_float)]
        result = self._to_int8([*kept, *self._always_float]) if self.quantization == "int8" else to_float16(self._float, kept)
        for field in ("opset_import", "metadata_props"):
            result.ClearField(field)
            getattr(result, field).extend(getattr(self._original, field))
        result.producer_name, result.producer_version = self._original.producer_name, self._original.producer_version
        result.graph.ClearField("value_info")
        onnx.checker.check_model(result, full_check=True)
        return result

    def signal_to_noise(self, images: np.ndarray, keep_float: Sequence[str] = ()) -> dict[str, float]:
        """See `Quantizer.signal_to_noise`."""
        batches = CalibrationBatches(self._float.graph.input[0], images).batches
        found = signal_to_noise(self._float, self.quantize(keep_float), batches)
        kept = {*select_operators(self.operators, keep_float)}
        return {name: found[node] for name, node in self._node_names.items() if node in found and name not in kept}

    def _to_int8(self, kept: Sequence[str]) -> onnx.ModelProto:
        assert self._images is not None
        with tempfile.TemporaryDirectory() as folder:
            float_file, int8_file, ranges = (Path(folder, name) for name in ("float.onnx", "int8.onnx", "ranges.json"))
            onnx.save(self._float, float_file)
            batches = CalibrationBatches(self._float.graph.input[0], self._images)
            if self._ranges:
                ranges.write_text(self._ranges)
            with contextlib.redirect_stdout(None):  # histograms are collected with a line for each batch
                ort_quantization.quantize_static(
                    float_file,
                    int8_file,
                    batches,
                    quant_format=ort_quantization.QuantFormat.QDQ,
                    activation_type=ort_quantization.QuantType.QUInt8,
                    weight_type=ort_quantization.QuantType.QInt8,
                    per_channel=True,
                    reduce_range=True,
                    op_types_to_quantize=list(OPERATORS),
                    nodes_to_exclude=list(kept),
                    calibrate_method=CALIBRATIONS[self._calibration],
                    calibration_cache_path=ranges,
                    extra_options={"CalibStridedMinMax": 1},  # of any method: the tensors of one batch at a time
                )
            self._ranges = ranges.read_text()
            return onnx.load(int8_file)


def preprocessed(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the network with shapes, and without what ONNX Runtime removes from every file."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.onnx"), Path(folder, "target.onnx")
        onnx.save(proto, source)
        ort_quantization.quant_pre_process(source, target, skip_symbolic_shape=True)
        return onnx.load(target)


class CalibrationBatches(ort_quantization.CalibrationDataReader):
    """uint8 images (N, H, W, C) as ONNX Runtime asks for them, in the layout of the network's input."""

    def __init__(self, model_input: onnx.ValueInfoProto, images: np.ndarray) -> None:
        shape = [dim.dim_value for dim in model_input.type.tensor_type.shape.dim][1:]
        images = images if list(images.shape[1:]) == shape else images.transpose(0, 3, 1, 2)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(model_input.type.tensor_type.elem_type)
        step = max(1, PIXELS_AT_ONCE // (images[0].size // min(images.shape[1], images.shape[3])))
        batches = [images[start : start + step].astype(dtype) for start in range(0, len(images), step)]
        self.batches = [{model_input.name: batch} for batch in batches]
        self._range = iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._range = iter(self.batches[start_index:end_index])

    def get_next(self) -> dict[str, Any] | None:  # pyright: ignore[reportIncompatibleMethodOverride]  None ends them
        return next(self._range, None)
