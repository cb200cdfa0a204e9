"""Every use of LiteRT's undocumented API, in one place: an upgrade breaks this file, and `tests/test_export_internals.py` says
where.

Each function says which public API is missing. Written for ai-edge-litert 2.3.
"""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

__all__ = ["editable_model", "operator_name", "operator_names", "operators_to_run", "parse_model", "schema", "serialize_model"]

schema: Any = schema_py_generated  # what flatc makes of LiteRT's schema.fbs. Missing: a documented module with these classes


def parse_model(content: bytes) -> Any:
    """Parses a `.tflite` file's bytes to a `schema.ModelT` that needs nothing after the flatbuffer.

    Missing: a public reader. There litert-quantizer puts the weights, as models beyond 2 GB need; a model that is packed anew
    would lose them.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers or ():
        if buffer.offset > 1:  # 0 and 1 mean none
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def editable_model(content: bytes) -> Any:
    """Parses a `.tflite` file's bytes to a `schema.ModelT` whose vectors are lists, for `serialize_model`."""
    return flatbuffer_utils.read_model_from_bytearray(content)  # pyright: ignore[reportArgumentType]


def serialize_model(model: Any) -> bytes:
    """Packs a `schema.ModelT` for every reader. Missing: a public writer, with the three things that readers rely on.

    These are the identifier, weights that are aligned, and the code of each operator in the byte where it was at first, as far
    as it fits: litert-quantizer leaves 0 there in those that it adds, which OpenVINO, OpenCV and MNN read as ADD.
    """
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
        code.deprecatedBuiltinCode = min(code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    builder = _AlignedBuilder(1 << 20)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


_IDENTIFIER = b"TFL3"


class _AlignedBuilder(flatbuffers.Builder):
    """Aligns vectors of bytes to multiples of 16: the schema wants it of weights, and the generated code forgets it."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803  the base class's names
        return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)


def operator_name(model: Any, operator: Any) -> str:
    """The name of an operator of a `schema.ModelT`: LiteRT's own, or a custom operator's."""
    code = model.operatorCodes[operator.opcodeIndex]
    if code.customCode:
        return code.customCode.decode()
    return _BUILTIN_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


_BUILTIN_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def operator_names(model: Any) -> list[str]:
    """The names of all operators of a `schema.ModelT`."""
    return [operator_name(model, operator) for graph in model.subgraphs for operator in graph.operators]


def operators_to_run(interpreter: Interpreter) -> list[dict[str, Any]]:
    """What an interpreter that has allocated its tensors holds: `index`, `op_name`, `inputs` and `outputs` of each operator.

    Delegated operators stay in the list, and one DELEGATE follows for each of their partitions. Missing: any public view of
    what a delegate took.
    """
    return interpreter._get_ops_details()
