"""Prepares a float LiteRT graph for integers: operators that stay fast, ranges that stay exact."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_resnet._litert_internals import operator_name, schema

KERNEL_AXES = {"CONV_2D": (1, 2, 3), "DEPTHWISE_CONV_2D": (0, 1, 2), "FULLY_CONNECTED": (1,)}  # that share a scale
MIN_RANGE = 1e-9  # of an activation, to the quantizer
MAX_BIAS = 2**30  # in steps of its scale; half of what int32 holds, so that there is room for the sum

Ranges = dict[str, dict[str, np.ndarray]]  # {tensor: {"min": array, "max": array}}, as the quantizer has it


def tensor_name(graph: Any, index: int) -> str:
    return graph.tensors[index].name.decode()


def replace_relu_with_max_pool(model: Any) -> None:
    """Turns each stand-alone RELU into a 1x1 MAX_POOL_2D with a fused ReLU: the same, and XNNPACK takes it in int8 as well."""
    pool = schema.OperatorCodeT()
    pool.builtinCode = schema.BuiltinOperator.MAX_POOL_2D
    pool.version = 2  # the first that knows int8
    model.operatorCodes.append(pool)
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator_name(model, operator) == "RELU" and len(graph.tensors[operator.outputs[0]].shape) == 4:
                operator.opcodeIndex = len(model.operatorCodes) - 1
                operator.builtinOptionsType = schema.BuiltinOptions.Pool2DOptions
                operator.builtinOptions = options = schema.Pool2DOptionsT()
                options.padding = schema.Padding.VALID
                options.filterHeight = options.filterWidth = options.strideH = options.strideW = 1
                options.fusedActivationFunction = schema.ActivationFunctionType.RELU


def tensor_range(graph: Any, index: int, low: float, high: float) -> Ranges:
    """Returns the range of one tensor."""
    shape = [1] * len(graph.tensors[index].shape)
    return {tensor_name(graph, index): {"min": np.full(shape, low, np.float32), "max": np.full(shape, high, np.float32)}}


def weight_ranges(model: Any, ranges: Ranges, bits: int) -> Ranges:
    """Computes the range of each kernel's channels, wide enough for their biases to fit into int32.

    A bias is counted in (scale of the input) * (scale of the kernel), and the latter is nearly 0 for a channel of zeros, such
    as one that was padded or has died.

    Args:
        model: A `schema.ModelT`.
        ranges: Of the activations.
        bits: Of the activations.
    """
    found = {}
    for graph, operator, weights in largest_weights(model):
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        activation, kernel, bias = operator.inputs[:3]
        offsets = np.abs(constant(model, graph, bias)).reshape(weights.shape)
        low, high = (ranges[tensor_name(graph, activation)][end].item() for end in ("min", "max"))
        scale = max(max(high, 0) - min(low, 0), MIN_RANGE) / (2**bits - 1)
        largest = np.maximum(weights, 127 * offsets / (MAX_BIAS * scale))
        found[tensor_name(graph, kernel)] = {"min": -largest, "max": largest}
    return found


def unfit_for_clipping(model: Any, ranges: Ranges) -> list[str]:
    """Returns the outputs of the operators whose kernels keep their full ranges, whatever else would have the least error.

    These are kernels with a channel of zeros, for which that is a scale of 0, and those that `weight_ranges` has widened.
    """
    found = []
    for graph, operator, weights in largest_weights(model):
        full = ranges.get(tensor_name(graph, operator.inputs[1]), {"max": weights})["max"]
        if (weights == 0).any() or (full > weights).any():
            found.append(tensor_name(graph, operator.outputs[0]))
    return found


def largest_weights(model: Any) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """Yields the graph, the operator and the largest weight of each channel, wherever a kernel is a constant."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            axes = KERNEL_AXES.get(operator_name(model, operator))
            if axes is not None and is_constant(model, graph, operator.inputs[1]):
                yield graph, operator, np.abs(constant(model, graph, operator.inputs[1])).max(axis=axes, keepdims=True)


def is_constant(model: Any, graph: Any, index: int) -> bool:
    return model.buffers[graph.tensors[index].buffer].data is not None


def constant(model: Any, graph: Any, index: int) -> np.ndarray:
    """Returns the float32 values of a tensor."""
    tensor = graph.tensors[index]
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).reshape(tensor.shape)
