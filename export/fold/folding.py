"""Folds the normalizations of a network into its other layers."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.grouped_convolution import without_xla
from keras_resnet.saving import copy_weights

from .layers import AUGMENTATIONS
from .network import Network, Node
from .preferred_shift import preferred_shift
from .rules import rule_for
from .values import AffineTensor, PendingConv, Value


def fold(model: keras.Model, dtype: str = "float32") -> keras.Model:
    """Builds the same function as `model` at inference, (N, H, W, C) -> (N, ...), with fewer operations.

    Norms go into convolutions or ride on the skip path; see this package's docstring. It is exact in real arithmetic. What
    remains: a multiplication where a gamma is negative or nearly zero; an addition where a shift is too large to ride, or
    meets no convolution that could change it. Layers without a rule, and calls with `training=True`, stay as they are.
    Subsampling and padded channels, as in option A (He et al. 2015), become 1x1 convolutions with an identity kernel, which
    runtimes accelerate.

    Args:
        model: A functional model with one input.
        dtype: Of the new model.

    Raises:
        UserError: If the model is not functional, or has several inputs.
    """
    network = Network(model)
    inputs: Any = keras.Input(network.input.shape[1:], name=network.input.name, dtype=dtype)
    values: dict[int, Value] = {id(network.input): AffineTensor.from_tensor(inputs)}
    copies: dict[keras.Layer, keras.Layer] = {}
    for node in network.nodes:
        # Keras notes `training=True` for augmentation that nobody said it of, and overrides it at inference.
        in_training = node.arguments.kwargs.get("training") and not isinstance(node.operation, AUGMENTATIONS)
        rule = None if in_training else rule_for(node.operation)
        node_inputs = [values[id(tensor)] for tensor in node.inputs]
        if rule is None:
            node_outputs = copy_unchanged(node, node_inputs, copies, dtype)
        else:
            value = rule(network, node, node_inputs)
            if isinstance(value, PendingConv) and (len(network.readers(node.output)) != 1 or network.is_output(node.output)):
                value = value.materialize(preferred_shift(network, node.output))
            node_outputs = [value]
        values.update((id(tensor), value) for tensor, value in zip(node.outputs, node_outputs, strict=True))
    tensors = {id(output): values[id(output)].as_tensor() for output in network.outputs}
    outputs = keras.tree.map_structure(lambda output: tensors[id(output)], model.output)
    return keras.Model(inputs, outputs, name=model.name)


def copy_unchanged(node: Node, values: Sequence[Value], copies: dict[keras.Layer, keras.Layer], dtype: str) -> Sequence[Value]:
    """Calls a copy of the layer, with its weights, on the original's tensors. `copies` are those so far, and gets this one."""
    tensors = {id(tensor): value.as_tensor() for tensor, value in zip(node.inputs, values, strict=True)}
    args, kwargs = node.arguments.fill_in(tensors)
    operation = node.operation
    if isinstance(operation, keras.Layer):
        if operation not in copies:
            config = operation.get_config()  # of which that of `keras.layers.Pipeline` has no dtype
            copies[operation] = without_xla(operation).from_config({**config, "dtype": dtype} if "dtype" in config else config)
        outputs = copies[operation](*args, **kwargs)
        copy_weights(operation, copies[operation])
    else:
        outputs = operation(*args, **kwargs)
    return [AffineTensor.from_tensor(output) for output in keras.tree.flatten(outputs)]
