"""Smaller and faster ONNX files, by ONNX Runtime's own tools.

What full int8 is made of was chosen by measurement, with ONNX Runtime 1.32 on a CPU with VNNI instructions: activations in
uint8 and kernels in int8, per channel, run up to three times as fast as float32. Activations in int8 do not: ONNX Runtime
leaves convolutions in float32 then, between Transposes. Kernels of seven bits (`reduce_range`), meant for older CPUs, are no
faster, and cost accuracy.
"""

import tempfile
from pathlib import Path

import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from keras_resnet.errors import UserError, comma_join

from ..keep_float import select_operators

SCHEMES = ("fp16", "int8")
MOVING = ("MaxPool", "Pad", "Transpose", "Squeeze")  # integers as they come
# Not Sub, Mul and Softmax: the normalisation of the pixels and the probabilities need more than eight bits, and cost little.
OPERATORS = ("Conv", "Gemm", "MatMul", "Add", "Relu", "AveragePool", "GlobalAveragePool", *MOVING)
LEAST_OPSET = 13  # that has scales per channel
PIXELS_AT_ONCE = 2**13  # in a batch of calibration, of which ONNX Runtime keeps much in memory


class OnnxQuantizer:
    """A float network, calibrated once, and quantised as often as there are choices of what stays float.

    proto: its `onnx.ModelProto`, which stays as it is. scheme: of `SCHEMES`. images: uint8 (N, H, W, C), of the training part,
    not augmented; int8 is calibrated on them, fp16 needs none. operators: what can stay float, by the names of outputs and
    kernels, since not every node is named after its Keras layer. Raises `UserError` for an unknown scheme, and for a file that
    is too old for int8.
    """

    def __init__(self, proto, scheme, images):
        if scheme not in SCHEMES:
            raise UserError(f"unknown quantisation {scheme!r} for ONNX; it is one of {comma_join(SCHEMES)}")
        (opset,) = (entry.version for entry in proto.opset_import if not entry.domain)
        if scheme == "int8" and opset < LEAST_OPSET:
            raise UserError(f"int8 needs ONNX opset {LEAST_OPSET} or above; it is {opset}")
        if scheme == "int8" and not len(images):
            raise UserError("int8 needs images to be calibrated on")
        self.scheme = scheme
        self._original = proto
        self._float = preprocessed(proto) if scheme == "int8" else proto
        self._images, self._ranges = images, None
        constants = {tensor.name for tensor in self._float.graph.initializer}
        nodes = [node for node in self._float.graph.node if scheme == "fp16" or node.op_type in OPERATORS]
        self._node_names = {";".join([*node.output, *constants.intersection(node.input[1:2])]): node.name for node in nodes}
        self.operators = list(self._node_names)

    def quantize(self, keep_float=()):
        """The quantised network, a new `onnx.ModelProto`, with the edges that it had, uint8 and float32.

        keep_float: operators that stay as they are, by their names or by parts of them, such as a Keras layer's name. Raises
        `UserError` for an unknown one.
        """
        kept = [self._node_names[name] for name in select_operators(self.operators, keep_float)]
        result = self._in_int8(kept) if self.scheme == "int8" else self._in_fp16(kept)
        for field in ("opset_import", "metadata_props"):
            result.ClearField(field)
            getattr(result, field).extend(getattr(self._original, field))
        result.producer_name, result.producer_version = self._original.producer_name, self._original.producer_version
        result.graph.ClearField("value_info")
        onnx.checker.check_model(result, full_check=True)
        return result

    def _in_fp16(self, kept):
        result = OnnxModel(convert_float_to_float16(self._float, keep_io_types=True, op_block_list=[], node_block_list=kept))
        result.topological_sort()  # the casts around what was kept are at the end
        return result.model

    def _in_int8(self, kept):
        with tempfile.TemporaryDirectory() as folder:
            given, taken, ranges = (Path(folder, name) for name in ("float.onnx", "int8.onnx", "ranges.json"))
            onnx.save(self._float, given)
            if self._ranges:
                ranges.write_text(self._ranges)
            quantization.quantize_static(
                given,
                taken,
                Batches(self._float.graph.input[0], self._images),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=OPERATORS,
                nodes_to_exclude=kept,
                calibration_cache_path=ranges,
            )
            self._ranges = ranges.read_text()
            return onnx.load(taken)


def preprocessed(proto):
    """With shapes, and without what ONNX Runtime takes away from every file."""
    with tempfile.TemporaryDirectory() as folder:
        given, taken = Path(folder, "given.onnx"), Path(folder, "taken.onnx")
        onnx.save(proto, given)
        quant_pre_process(given, taken, skip_symbolic_shape=True)
        return onnx.load(taken)


class Batches(quantization.CalibrationDataReader):
    """uint8 images (N, H, W, C) as ONNX Runtime asks for them, in the layout of the network's `given` input."""

    def __init__(self, given, images):
        shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim][1:]
        images = images if list(images.shape[1:]) == shape else images.transpose(0, 3, 1, 2)
        step = max(1, PIXELS_AT_ONCE // (images[0].size // min(images.shape[1], images.shape[3])))
        self._batches = iter([{given.name: images[start : start + step]} for start in range(0, len(images), step)])

    def get_next(self):
        return next(self._batches, None)
