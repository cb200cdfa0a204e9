"""What a float LiteRT graph needs before it computes in integers: operators that stay fast, ranges that stay exact."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

KERNEL_AXES = {"CONV_2D": (1, 2, 3), "DEPTHWISE_CONV_2D": (0, 1, 2), "FULLY_CONNECTED": (1,)}  # that share a scale
LEAST_RANGE = 1e-9  # of an activation, to the quantizer
LARGEST_BIAS = 2**30  # in steps of its scale; half of what int32 holds, so that there is room for the sum


def kind(model, operator):
    """An operator's name among LiteRT's."""
    return flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)


def tensor_name(graph, index):
    return graph.tensors[index].name.decode()


def replace_relu_with_max_pool(model):
    """Turns each RELU of its own into a 1x1 MAX_POOL_2D with a fused ReLU: the same, and XNNPACK takes it in int8 as well."""
    pool = schema.OperatorCodeT()
    pool.builtinCode = pool.deprecatedBuiltinCode = schema.BuiltinOperator.MAX_POOL_2D
    pool.version = 2  # the first that knows int8
    model.operatorCodes.append(pool)
    for graph in model.subgraphs:
        for operator in graph.operators:
            if kind(model, operator) == "RELU" and len(graph.tensors[operator.outputs[0]].shape) == 4:
                operator.opcodeIndex = len(model.operatorCodes) - 1
                operator.builtinOptionsType = schema.BuiltinOptions.Pool2DOptions
                operator.builtinOptions = options = schema.Pool2DOptionsT()
                options.padding = schema.Padding.VALID
                options.filterHeight = options.filterWidth = options.strideH = options.strideW = 1
                options.fusedActivationFunction = schema.ActivationFunctionType.RELU


def tensor_range(graph, index, low, high):
    """A tensor's range as the quantizer writes it: {name: {"min": ..., "max": ...}}."""
    shape = [1] * len(graph.tensors[index].shape)
    return {tensor_name(graph, index): {"min": np.full(shape, low, np.float32), "max": np.full(shape, high, np.float32)}}


def weight_ranges(model, ranges, bits):
    """The range of each kernel's channels, wide enough for their biases to fit into int32.

    A bias is counted in (scale of the input) * (scale of the kernel), and the latter is nearly 0 for a channel of zeros, such
    as one that was padded or has died.

    ranges: of the activations, which get so many bits.
    """
    found = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            axes = KERNEL_AXES.get(kind(model, operator))
            if axes is None or len(operator.inputs) < 3 or operator.inputs[2] < 0:
                continue
            given, kernel, bias = operator.inputs[:3]
            weights = np.abs(constant(model, graph, kernel)).max(axis=axes, keepdims=True)
            offsets = np.abs(constant(model, graph, bias)).reshape(weights.shape)
            low, high = (ranges[tensor_name(graph, given)][end].item() for end in ("min", "max"))
            scale = max(max(high, 0) - min(low, 0), LEAST_RANGE) / (2**bits - 1)
            largest = np.maximum(weights, 127 * offsets / (LARGEST_BIAS * scale))
            found[tensor_name(graph, kernel)] = {"min": -largest, "max": largest}
    return found


def constant(model, graph, index):
    """The float32 values of a tensor."""
    tensor = graph.tensors[index]
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).reshape(tensor.shape)
