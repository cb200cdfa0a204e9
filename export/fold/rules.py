"""What each kind of layer does with the forms that its inputs are carried in.

A rule is `rule(network, node, values) -> value`; `values` are those of the node's inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from . import layers
from .network import Network, Node
from .preferred_shift import preferred_shift
from .values import AffineTensor, PendingConv, Value, scaled, shifted

Rule: TypeAlias = Callable[[Network, Node, Sequence[Value]], Value]

VANISHING = 1e-12  # of the offset: a factor that no input can make matter in float32, which has a precision of 6e-8
MAX_SHIFT = 64.0  # of a ReLU's input, in units of its factor: more would leave the other channels few of int8's steps
MAX_SCALE = 64.0  # what the skip path may be scaled by: more would leave the range of float16


def convolution(network: Network, node: Node, values: Sequence[Value]) -> PendingConv:
    layer, value = node.operation, materialized_input(network, node, values)
    if layers.pads_with_zeros(layer):
        value = value.unshifted()
    kernel = np.asarray(layer.kernel, np.float64)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(layer.filters)
    scale, shift = (by_filter(numbers, layer) for numbers in (value.scale, value.shift))
    return PendingConv(value.tensor, config_of(node), kernel * scale, bias + (shift * kernel.sum(axis=(0, 1))).sum(axis=0))


def by_filter(numbers: np.ndarray, layer: Any) -> np.ndarray:
    """Those of the channels that each filter reads: of (C,) numbers (C/groups, filters)."""
    return np.repeat(numbers.reshape(layer.groups, -1).T, layer.filters // layer.groups, axis=1)


def subsampling(network: Network, node: Node, values: Sequence[Value]) -> PendingConv:
    """As a 1x1 convolution: XNNPACK supports those with a stride, but no 1x1 pooling with one."""
    return identity_convolution(materialized_input(network, node, values), node.operation.strides, node.name)


def channel_padding(network: Network, node: Node, values: Sequence[Value]) -> PendingConv:
    value = values[0]
    if not isinstance(value, PendingConv) or value.groups > 1:  # which zeros on both sides would shift
        value = identity_convolution(value.materialize(), (1, 1), node.name)
    return value.padded(*node.operation.padding[1])


def identity_convolution(value: AffineTensor, strides: tuple[int, int], name: str) -> PendingConv:
    config = {"name": name, "kernel_size": 1, "strides": strides, "padding": "valid"}
    return PendingConv(value.tensor, config, np.diag(value.scale)[np.newaxis, np.newaxis], value.shift)


def affine(network: Network, node: Node, values: Sequence[Value]) -> Value:
    """A norm or a rescaling."""
    return values[0].affine(*layers.factor_and_offset(node.operation))


def relu(network: Network, node: Node, values: Sequence[Value]) -> AffineTensor:
    """relu(scale * tensor + shift) = |scale| * relu(sign * tensor + shift/|scale|).

    If the shift rides already and the sign is plus, that is a bare ReLU. In a channel that is nearly a constant the scale
    stays inside, since the shift would dwarf all other channels; if that constant is zero, its readers leave it out.
    """
    value = values[0].materialize()
    size = np.abs(value.scale)
    constant = size <= VANISHING * np.abs(value.shift)
    dead = constant & (value.shift <= 0) & all(layers.is_convolution(r.operation) for r in network.readers(node.output))
    inside = constant | (value.shift > MAX_SHIFT * size)
    size = np.where(inside, 1, size)
    factor = np.where(dead, 1, np.where(inside, value.scale, np.sign(value.scale)))
    offset = np.where(dead, 0, value.shift / size)
    tensor = clone_layer(node, value.tensor)(shifted(scaled(value.tensor, factor), offset))
    return AffineTensor(tensor, np.where(dead, 0.0, size), np.zeros_like(size))


def add(network: Network, node: Node, values: Sequence[Value]) -> AffineTensor:
    """In the scale of the inputs that are built already; the convolutions absorb the shift that the sum's readers prefer."""
    if broadcasts(node):
        return apply_unfolded(node, values)
    built = [value for value in values if isinstance(value, AffineTensor)]
    scale = built[0].scale if built else np.ones(node.output.shape[-1])
    extreme = np.any((np.abs(scale) > MAX_SCALE) | (np.abs(scale) < 1 / MAX_SCALE))
    if extreme or any(np.any(value.scale != scale) for value in built):
        built = [AffineTensor(scaled(value.tensor, value.scale), np.ones_like(scale), value.shift) for value in built]
        scale = np.ones_like(scale)
    shift = sum((value.shift for value in built), np.zeros_like(scale))
    tensors = [value.tensor for value in built]
    for value in values:
        if isinstance(value, PendingConv):
            preferred = preferred_shift(network, node.output)
            preferred = np.where(np.isnan(preferred), shift, preferred)
            tensors.append(value.build(scale, preferred - shift).tensor)
            shift = preferred
    return AffineTensor(clone_layer(node, tensors[0])(tensors), scale, shift)


def multiply(network: Network, node: Node, values: Sequence[Value]) -> AffineTensor:
    if broadcasts(node):
        return apply_unfolded(node, values)
    factors = [value.materialize().unshifted() for value in values]
    tensor = clone_layer(node, factors[0].tensor)([value.tensor for value in factors])
    return AffineTensor(tensor, np.prod([value.scale for value in factors], axis=0), np.zeros_like(factors[0].shift))


def broadcasts(node: Node) -> bool:
    """Whether an input has another number of channels than the output, as a mask has."""
    return any(tensor.shape[-1] != node.output.shape[-1] for tensor in node.inputs)


def apply_unfolded(node: Node, values: Sequence[Value]) -> AffineTensor:
    """Calls the layer on the original's tensors."""
    tensors = [value.as_tensor() for value in values]
    return AffineTensor.from_tensor(clone_layer(node, tensors[0])(tensors))


def zero_padding(network: Network, node: Node, values: Sequence[Value]) -> AffineTensor:
    value = values[0].materialize().unshifted()
    return value.with_tensor(clone_layer(node, value.tensor)(value.tensor))


def pooling(network: Network, node: Node, values: Sequence[Value]) -> AffineTensor:
    value = materialized_input(network, node, values)
    if np.any(value.scale <= 0):
        value = AffineTensor.from_tensor(value.as_tensor())
    return value.with_tensor(clone_layer(node, value.tensor)(value.tensor))


def identity(network: Network, node: Node, values: Sequence[Value]) -> Value:
    return values[0]


def dense(network: Network, node: Node, values: Sequence[Value]) -> AffineTensor:
    layer, value = node.operation, values[0].materialize()
    kernel = np.asarray(layer.kernel, np.float64)
    bias = value.shift @ kernel + (np.asarray(layer.bias, np.float64) if layer.use_bias else 0)
    copy = keras.layers.Dense.from_config({**config_of(node), "use_bias": True, "dtype": value.tensor.dtype})
    tensor = copy(value.tensor)
    copy.set_weights([kernel * value.scale[:, np.newaxis], bias])
    return AffineTensor.from_tensor(tensor)


def materialized_input(network: Network, node: Node, values: Sequence[Value]) -> AffineTensor:
    """The only input, built in the form that its readers prefer."""
    return values[0].materialize(preferred_shift(network, node.inputs[0]))


def clone_layer(node: Node, like: keras.KerasTensor) -> Any:
    """A copy of the layer, without weights, for tensors of the type of `like`."""
    return type(node.operation).from_config({**config_of(node), "dtype": like.dtype})


def config_of(node: Node) -> dict[str, Any]:
    """The configuration of a copy under the node's name; the matrices of LoRA are part of the kernel that it will get."""
    config = {key: value for key, value in node.operation.get_config().items() if not key.startswith("lora_")}
    return {**config, "name": node.name}


RULES: tuple[tuple[Callable[[Any], bool], Rule], ...] = (
    (layers.is_convolution, convolution),
    (layers.is_subsampling, subsampling),
    (layers.is_channel_padding, channel_padding),
    (layers.is_norm, affine),
    (layers.is_rescaling, affine),
    (layers.is_relu, relu),
    (layers.is_add, add),
    (layers.is_multiply, multiply),
    (layers.is_zero_padding, zero_padding),
    (layers.is_pooling, pooling),
    (layers.is_identity, identity),
    (layers.is_dense, dense),
)


def rule_for(layer: Any) -> Rule | None:
    """The rule of a layer, or None if it can only be called on the original's tensors."""
    return next((rule for matches, rule in RULES if matches(layer)), None)
