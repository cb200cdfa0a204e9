"""A batch of any size in a file whose shapes say one image.

TensorFlow's converter leaves the batch axis free, in two ways that cost:

- A reshape, as of `Flatten` or of squeeze-and-excite, computes its shape from that of its input, by SHAPE, STRIDED_SLICE and
  PACK. XNNPACK, LiteRT's fast path, does not take them, and they split the network. The one unknown length of a reshape follows
  from the number of values, so a constant with -1 in its place is the same reshape, for every batch.
- `shape_signature` has -1 for the batch. LiteRT.js 2.5 compares it to the pixels' shape, and runs no such file. LiteRT itself
  takes any batch without it, when the input is resized.

What else is computed from the batch, such as the output's shape of a transposed convolution, stays computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_resnet._litert_internals import editable_model, operator_name, schema, serialize_model

UNKNOWN = np.nan  # a length that depends on the batch, and what is computed from one


def fix_shapes(content: bytes) -> bytes:
    """Returns a float `.tflite` file's bytes with shapes that are constant, for one image, and right for every batch."""
    model = editable_model(content)
    for index, graph in enumerate(model.subgraphs):
        make_reshapes_constant(model, graph)
        remove_unread_operators(model, graph)
        remove_unread_tensors(graph, [signature for signature in model.signatureDefs if signature.subgraphIndex == index])
        for tensor in graph.tensors:
            tensor.shapeSignature = None
    return serialize_model(model)


def make_reshapes_constant(model: Any, graph: Any) -> None:
    """Gives a constant to each reshape that computes its shape, if at most one of the lengths depends on the batch."""
    known: dict[int, np.ndarray] = {}  # shapes and lengths
    for operator in graph.operators:
        name, inputs = operator_name(model, operator), operator.inputs
        if name == "SHAPE" and graph.tensors[inputs[0]].hasRank:
            known[operator.outputs[0]] = lengths(graph.tensors[inputs[0]])
        elif name in SHAPE_ARITHMETIC and known.keys() & set(inputs):
            values = [known[index] if index in known else integers(model, graph.tensors[index]) for index in inputs]
            found = [value for value in values if value is not None and value.ndim < 2]
            if len(found) == len(inputs):
                known[operator.outputs[0]] = SHAPE_ARITHMETIC[name](found, operator.builtinOptions)
        elif name == "RESHAPE" and len(inputs) > 1 and inputs[1] in known:
            shape = known[inputs[1]]
            if shape.ndim == 1 and np.isnan(shape).sum() <= 1:
                inputs[1] = add_constant(model, graph, np.nan_to_num(shape, nan=-1).astype(np.int32))


def remove_unread_operators(model: Any, graph: Any) -> None:
    """Removes the operators that served shapes only, and whose results are read no more."""
    read = set(graph.outputs)
    kept = []
    for operator in reversed(graph.operators):  # which are in the order of execution
        if operator_name(model, operator) not in ("SHAPE", "RESHAPE", *SHAPE_ARITHMETIC) or read.intersection(operator.outputs):
            kept.append(operator)
            read.update(operator.inputs or ())
    graph.operators = kept[::-1]


def remove_unread_tensors(graph: Any, signatures: Sequence[Any]) -> None:
    """Removes the tensors of no operator, which calibration would read; `signatures` are those of the graph."""
    of_operators = [indices for o in graph.operators for indices in (o.inputs, o.outputs, o.intermediates) if indices]
    lists = [graph.inputs, graph.outputs, *of_operators]
    used = sorted({index for indices in lists for index in indices if index >= 0})  # -1 stands for an input that is left out
    places = {-1: -1, **{index: place for place, index in enumerate(used)}}
    graph.tensors = [graph.tensors[index] for index in used]
    for indices in lists:
        indices[:] = [places[index] for index in indices]
    for entry in (entry for signature in signatures for entry in (*signature.inputs, *signature.outputs)):
        entry.tensorIndex = places[entry.tensorIndex]


def lengths(tensor: Any) -> np.ndarray:
    """The lengths of a tensor's axes."""
    signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return np.array([UNKNOWN if length < 0 else length for length in signature], np.float64)


def integers(model: Any, tensor: Any) -> np.ndarray | None:
    """The values of a constant of integers, or None."""
    data, dtype = model.buffers[tensor.buffer].data, INTEGERS.get(tensor.type)
    return None if data is None or dtype is None else np.frombuffer(bytes(data), dtype).reshape(tensor.shape).astype(np.float64)


def add_constant(model: Any, graph: Any, shape: np.ndarray) -> int:
    """Adds a constant of one axis to a graph and returns its index."""
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(shape.tobytes(), np.uint8)
    tensor.name, tensor.type, tensor.hasRank = f"reshape_{len(graph.tensors)}".encode(), schema.TensorType.INT32, True
    tensor.shape, tensor.buffer = list(shape.shape), len(model.buffers)
    model.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def strided_slice(values: Sequence[np.ndarray], options: Any) -> np.ndarray:
    """Part of a shape, or one of its lengths."""
    shape, *ends = values
    begin, end, stride = (int(value.item()) for value in ends)
    part = shape[None if options.beginMask else begin : None if options.endMask else end : stride]
    return part[0] if options.shrinkAxisMask else part


def gather(values: Sequence[np.ndarray], options: Any) -> np.ndarray:
    shape, indices = values
    return shape[indices.astype(int)]


INTEGERS = {schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64}  # that shapes are counted in
SHAPE_ARITHMETIC: dict[str, Callable[[Sequence[np.ndarray], Any], np.ndarray]] = {  # on shapes of one axis and on lengths
    "STRIDED_SLICE": strided_slice,
    "GATHER": gather,
    "PACK": lambda values, options: np.stack(values),
    "CONCATENATION": lambda values, options: np.concatenate(values),
    "REDUCE_PROD": lambda values, options: np.prod(values[0], keepdims=options.keepDims),
    "MUL": lambda values, options: values[0] * values[1],
}
