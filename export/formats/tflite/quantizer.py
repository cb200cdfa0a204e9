"""Smaller and faster `.tflite` files, by Google's AI Edge Quantizer.

What full int8 needs beyond its recipe, each measured with LiteRT 2.3 on x86:

- Operators that XNNPACK, LiteRT's fast path, does not take in int8 split the network into parts, which then runs ten times
  slower. A stand-alone RELU is one; it is spelled as a 1x1 MAX_POOL_2D with a fused ReLU, which is the same, and free. The
  softmax is another; it stays in float, between two conversions that XNNPACK takes. What is left outside is the cast of the
  pixels from uint8 to int8.
- The edges are uint8, which is what MediaPipe takes: pixels of scale 1 go in as they are, probabilities come out in 1/256.
- Ranges of activations are those of all calibration images. The quantizer's own moving average cuts off what few images
  reach: on CIFAR-10 it changed 3.2 % of the first labels, where the full ranges change 1.7 %.
- A kernel of zeros, as of padded channels, gets a scale of nearly 0 from the quantizer; its bias, counted in that scale,
  overflows, unless the range is widened. So it is in int16x8.
"""

import contextlib
import os
import re
import warnings

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils import qsv_utils

from keras_resnet.environment import quiet_stderr
from keras_resnet.errors import UserError, comma_join

from ..keep_float import select_operators
from .int8 import kind, replace_relu_with_max_pool, tensor_name, tensor_range, weight_ranges

# fmt: off
SCHEMES = {  # per channel; the bits of weights and activations, as `RecipeManager` is told
    "fp16":         ("add_weight_only_config", {"num_bits": 16, "algorithm_key": "float_casting"}),
    "int8_dynamic": ("add_dynamic_config",     {"num_bits": 8}),
    "int8_weight":  ("add_weight_only_config", {"num_bits": 8}),
    "int8":         ("add_static_config",      {"activation_num_bits": 8, "weight_num_bits": 8}),
    "int16x8":      ("add_static_config",      {"activation_num_bits": 16, "weight_num_bits": 8}),
}
# fmt: on
STATIC = ("int8", "int16x8")  # whose activations are integers, and which are calibrated
PIXELS_AT_ONCE = 2**12  # in a batch of calibration, all of whose activations are in memory
OVERFLOW = 1e30  # the quantizer leaves out what is infinite or not a number; this is on the way to it
FLOAT = "no_quantize"
UINT8 = qtyping.OpQuantizationConfig(
    activation_tensor_config=qtyping.TensorQuantizationConfig(8, symmetric=False, dtype=qtyping.TensorDataType.UINT),
    weight_tensor_config=qtyping.TensorQuantizationConfig(8, granularity=qtyping.QuantGranularity.CHANNELWISE),
    compute_precision=qtyping.ComputePrecision.INTEGER,
)


class TFLiteQuantizer:
    """A float `.tflite` file, calibrated once, and quantised as often as there are choices of what stays float.

    content: its bytes, with one signature; for int8 it takes float32 pixels. scheme: of `SCHEMES`. images: uint8 (N, H, W, C),
    of the training part, not augmented; the static schemes are calibrated on them, the others need none. operators: what can
    stay float, by the names of their output tensors, see `operator_name`. Raises `UserError` for an unknown scheme.
    """

    def __init__(self, content, scheme, images):
        if scheme not in SCHEMES:
            raise UserError(f"unknown quantisation {scheme!r} for TFLite; it is one of {comma_join(SCHEMES)}")
        if scheme in STATIC and not len(images):
            raise UserError(f"{scheme} needs images to be calibrated on")
        self.scheme = scheme
        model = flatbuffer_utils.read_model_from_bytearray(content)
        (graph,), (signature,) = model.subgraphs, model.signatureDefs
        (given,), (taken,) = signature.inputs, signature.outputs
        self._gives_probabilities = taken.name == b"probabilities"
        if scheme == "int8":
            assert graph.tensors[given.tensorIndex].type == schema.TensorType.FLOAT32, "int8 needs a file of float32 pixels"
            replace_relu_with_max_pool(model)
            content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
        self._content = content
        can_stay = [operator for operator in graph.operators if kind(model, operator) != "SOFTMAX"]
        self._outputs = {operator_name(graph, operator): tensor_name(graph, operator.outputs[0]) for operator in can_stay}
        self.operators = list(self._outputs)
        self._ranges = None
        if scheme in STATIC:
            pixels = images if graph.tensors[given.tensorIndex].type == schema.TensorType.UINT8 else images.astype("float32")
            self._ranges = self._calibrate(signature.signatureKey.decode(), given.name.decode(), pixels)
            self._ranges |= weight_ranges(model, self._ranges, SCHEMES[scheme][1]["activation_num_bits"])
        if scheme == "int8":
            self._ranges |= tensor_range(graph, given.tensorIndex, 0, 255)
            if self._gives_probabilities:
                self._ranges |= tensor_range(graph, taken.tensorIndex, 0, 255 / 256)

    def quantize(self, keep_float=()):
        """The bytes of the quantised file. Its edges are integers in int8, and otherwise as they were.

        keep_float: operators that stay as they are, by their names or by parts of them, such as a Keras layer's name. Raises
        `UserError` for an unknown one.
        """
        worker = quantizer.Quantizer(self._content)
        kept = [self._outputs[name] for name in select_operators(self.operators, keep_float)]
        worker.load_quantization_recipe(self._recipe(kept).get_quantization_recipe())
        with quietly():
            return bytes(worker.quantize(self._ranges, enable_progress_report=False).quantized_model)

    def _recipe(self, kept=()):
        """What is said later counts. A scope, to the quantizer, is the name of an operator's output and a semicolon."""
        recipe, every = recipe_manager.RecipeManager(), qtyping.TFLOperationName
        add, bits = SCHEMES[self.scheme]
        getattr(recipe, add)(".*", every.ALL_SUPPORTED, **bits)
        if self.scheme == "int8":
            recipe.add_quantization_config(".*", every.INPUT, UINT8)
            if self._gives_probabilities:  # logits come out of their operator in int8: a cast would be outside of XNNPACK
                recipe.add_quantization_config(".*", every.OUTPUT, UINT8)
        if self.scheme == "int16x8":
            for edge in (every.INPUT, every.OUTPUT):
                recipe.add_quantization_config(".*", edge, algorithm_key=FLOAT)
        if self.scheme in STATIC:
            recipe.add_quantization_config(".*", every.SOFTMAX, algorithm_key=FLOAT)
        if kept:
            names = "|".join(re.escape(name) for name in kept)
            recipe.add_quantization_config(f"^(?:{names});$", every.ALL_SUPPORTED, algorithm_key=FLOAT)
        return recipe

    def _calibrate(self, signature, name, pixels):
        """The least and the largest value of each tensor, over all images."""
        step = max(1, PIXELS_AT_ONCE // (pixels.shape[1] * pixels.shape[2]))
        batches = [{name: pixels[start : start + step]} for start in range(0, len(pixels), step)]
        with quietly():
            calibration = calibrator.Calibrator(self._content, os.cpu_count(), qsv_update_func=qsv_utils.min_max_update)
            calibration.calibrate({signature: batches}, self._recipe())
        ranges = calibration.get_model_qsvs()
        for name, span in ranges.items():
            if not max(np.abs(span["min"]).max(), np.abs(span["max"]).max()) < OVERFLOW:
                raise UserError(f"{self.scheme} has no range for {name}, which overflows on the calibration images")
        return ranges


def operator_name(graph, operator):
    """That of its output; of the one that gives the file's output, which has the signature's, that of its kernel too."""
    name = tensor_name(graph, operator.outputs[0])
    nameless = name.startswith("StatefulPartitionedCall") and len(operator.inputs) > 1
    return f"{name};{tensor_name(graph, operator.inputs[1])}" if nameless else name


@contextlib.contextmanager
def quietly():
    """Without the quantizer's progress bars, and the warning of its interpreter that it keeps all tensors."""
    with quiet_stderr(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors", category=UserWarning)
        yield
