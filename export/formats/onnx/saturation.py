"""A proof that the sums of an int8 file do not depend on the CPU.

x86 CPUs without VNNI multiply uint8 activations by int8 weights with vpmaddubsw. It adds the products of each two neighbors
in 16 bits, and saturates: 255 * 127 + 255 * 127 becomes 32767, which is half of it. What comes after adds in 32 bits.

Which weights are neighbors is up to the runtime: ONNX Runtime's MlasGemm packs the rows of a filter, which it may have
transposed before, four at a time. So any two weights of one output channel count as neighbors here. Products have the sign of
their weight, so a sum leaves 16 bits where two weights of one sign have more than 128 together. Kernels of seven bits,
-64 to 64, never do.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

LIMIT = np.iinfo(np.int16).max // np.iinfo(np.uint8).max  # of two weights together
CHANNEL_AXES = {"Conv": 0, "Gemm": 1, "MatMul": -1}  # of kernels


def saturating_kernels(model: onnx.ModelProto) -> Iterator[str]:
    """Yields the names of kernels for which two products of uint8 and int8 can leave 16 bits."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    dequantized = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type not in CHANNEL_AXES or not dequantized.keys() >= set(node.input[:2]):
            continue
        kernel = constants.get(dequantized[node.input[1]].input[0])
        if kernel is None or kernel.data_type != onnx.TensorProto.INT8:
            continue
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        weights = np.moveaxis(numpy_helper.to_array(kernel), 0 if transposed else CHANNEL_AXES[node.op_type], 0)
        if largest_pair(weights.reshape(len(weights), -1).astype(int)) > LIMIT:
            yield kernel.name


def largest_pair(weights: np.ndarray) -> int:
    """Returns the largest magnitude of two weights of one sign in one row of (channels, weights) together."""
    both = np.concatenate([weights, -weights]).clip(0)
    return int(np.sort(both, axis=1)[:, -2:].sum(axis=1).max(initial=0))
