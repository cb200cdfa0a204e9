"""What each kind of layer does with the forms that its input is carried in.

A rule is `rule(network, node, values) -> value`; `values` are those of the node's inputs, each `AffineTensor` or `PendingConv`.
"""

import keras
import numpy as np

from . import layers
from .preferred_shift import preferred_shift
from .values import AffineTensor, PendingConv, scaled, shifted

VANISHING = 1e-12  # of the offset: a factor that no input can make matter in float32, whose digits end at 6e-8
MOST_SHIFT = 64.0  # of a ReLU's input, in units of its factor: more would leave the other channels few of int8's steps
MOST_SCALE = 64.0  # what the trunk may be scaled by: more would leave the range of float16


def convolution(network, node, values):
    layer, value = node.operation, materialize(network, node, values)
    if layers.pads(layer):
        value = value.unshifted()
    kernel = np.asarray(layer.kernel, np.float64)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(layer.filters)
    return PendingConv(
        value.tensor, config_of(node), kernel * value.scale[:, np.newaxis], bias + value.shift @ kernel.sum(axis=(0, 1))
    )


def subsampling(network, node, values):
    """As a 1x1 convolution, which XNNPACK takes where it takes no 1x1 pooling with a stride."""
    return identity_convolution(materialize(network, node, values), node.operation.strides, node.name)


def channel_padding(network, node, values):
    value = values[0]
    if not isinstance(value, PendingConv):
        value = identity_convolution(value, (1, 1), node.name)
    return value.padded(*node.operation.padding[1])


def identity_convolution(value, strides, name):
    config = {"name": name, "kernel_size": 1, "strides": strides, "padding": "valid"}
    return PendingConv(value.tensor, config, np.diag(value.scale)[np.newaxis, np.newaxis], value.shift)


def affine(network, node, values):
    """A norm or a rescaling."""
    return values[0].affine(*layers.factor_and_offset(node.operation))


def relu(network, node, values):
    """relu(scale * tensor + shift) = |scale| * relu(sign * tensor + shift/|scale|).

    Where the shift rides already and the sign is plus, the bare ReLU is left. Of a channel that is nearly a constant the scale
    is not taken out, since the shift would dwarf all other channels; where that constant is zero, who reads it leaves it out.
    """
    value = values[0].materialize()
    size = np.abs(value.scale)
    constant = size <= VANISHING * np.abs(value.shift)
    dead = constant & (value.shift <= 0) & all(layers.is_convolution(r.operation) for r in network.readers(node.output))
    stays = constant | (value.shift > MOST_SHIFT * size)
    size = np.where(stays, 1, size)
    factor = np.where(dead, 1, np.where(stays, value.scale, np.sign(value.scale)))
    offset = np.where(dead, 0, value.shift / size)
    tensor = clone_layer(node, value.tensor)(shifted(scaled(value.tensor, factor), offset))
    return AffineTensor(tensor, np.where(dead, 0.0, size), np.zeros_like(size))


def add(network, node, values):
    """All in the scale of those that are there already; the convolutions take the shift that the sum's readers wish."""
    if broadcasts(node):
        return apply_unfolded(node, values)
    there = [value for value in values if isinstance(value, AffineTensor)]
    scale = there[0].scale if there else np.ones(node.output.shape[-1])
    if np.any((np.abs(scale) > MOST_SCALE) | (np.abs(scale) < 1 / MOST_SCALE)) or any(np.any(v.scale != scale) for v in there):
        there = [AffineTensor(scaled(value.tensor, value.scale), np.ones_like(scale), value.shift) for value in there]
        scale = np.ones_like(scale)
    shift = sum((value.shift for value in there), np.zeros_like(scale))
    tensors = [value.tensor for value in there]
    for value in values:
        if isinstance(value, PendingConv):
            preferred = preferred_shift(network, node.output)
            preferred = np.where(np.isnan(preferred), shift, preferred)
            tensors.append(value.materialize_as(scale, preferred - shift).tensor)
            shift = preferred
    return AffineTensor(clone_layer(node, tensors[0])(tensors), scale, shift)


def multiply(network, node, values):
    if broadcasts(node):
        return apply_unfolded(node, values)
    values = [value.materialize().unshifted() for value in values]
    tensor = clone_layer(node, values[0].tensor)([value.tensor for value in values])
    return AffineTensor(tensor, np.prod([value.scale for value in values], axis=0), np.zeros_like(values[0].shift))


def broadcasts(node):
    """Whether an input has another number of channels than the output, as a mask has."""
    return any(tensor.shape[-1] != node.output.shape[-1] for tensor in node.inputs)


def apply_unfolded(node, values):
    """By the layer itself, of the original's tensors."""
    tensors = [value.as_tensor() for value in values]
    return AffineTensor.plain(clone_layer(node, tensors[0])(tensors))


def zero_padding(network, node, values):
    value = values[0].materialize().unshifted()
    return value.on(clone_layer(node, value.tensor)(value.tensor))


def pooling(network, node, values):
    value = materialize(network, node, values)
    if np.any(value.scale <= 0):
        value = AffineTensor.plain(value.as_tensor())
    return value.on(clone_layer(node, value.tensor)(value.tensor))


def dropout(network, node, values):
    return values[0]


def dense(network, node, values):
    layer, value = node.operation, values[0].materialize()
    kernel = np.asarray(layer.kernel, np.float64)
    bias = value.shift @ kernel + (np.asarray(layer.bias, np.float64) if layer.use_bias else 0)
    copy = keras.layers.Dense.from_config({**config_of(node), "use_bias": True, "dtype": value.tensor.dtype})
    tensor = copy(value.tensor)
    copy.set_weights([kernel * value.scale[:, np.newaxis], bias])
    return AffineTensor.plain(tensor)


def materialize(network, node, values):
    """The only input, written down in the form that its readers wish."""
    return values[0].materialize(preferred_shift(network, node.inputs[0]))


def clone_layer(node, like):
    """A copy of the layer, without weights, for tensors of the type of `like`."""
    return type(node.operation).from_config({**config_of(node), "dtype": like.dtype})


def config_of(node):
    return {**node.operation.get_config(), "name": node.name}


RULES = (
    (layers.is_convolution, convolution),
    (layers.is_subsampling, subsampling),
    (layers.is_channel_padding, channel_padding),
    (layers.is_norm, affine),
    (layers.is_rescaling, affine),
    (layers.is_relu, relu),
    (lambda layer: type(layer) is keras.layers.Add, add),
    (lambda layer: type(layer) is keras.layers.Multiply, multiply),
    (layers.is_zero_padding, zero_padding),
    (layers.is_pooling, pooling),
    (layers.is_dropout, dropout),
    (layers.is_dense, dense),
)


def rule_for(layer):
    """The rule of a layer, or None for one that only takes tensors as they were."""
    return next((rule for fits, rule in RULES if fits(layer)), None)
