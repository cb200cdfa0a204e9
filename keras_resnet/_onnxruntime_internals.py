"""Every use of ONNX Runtime's undocumented API, in one place: an upgrade breaks this file, and `tests/test_export_internals.py`
says where.

Written for ONNX Runtime 1.27 to 1.32.
"""

from collections.abc import Sequence

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel


def to_float16(model: onnx.ModelProto, keep_float: Sequence[str]) -> onnx.ModelProto:
    """Converts a model to float16, its inputs and outputs and the nodes named in `keep_float` excepted.

    Missing: float16 in `onnxruntime.quantization`. The converter lives among the tools for transformers, and leaves the casts
    around what was kept at the end of the graph, which is not valid ONNX before it is sorted.
    """
    result = OnnxModel(convert_float_to_float16(model, keep_io_types=True, op_block_list=[], node_block_list=list(keep_float)))
    result.topological_sort()
    return result.model
