"""A network without its normalisations."""

import keras

from keras_resnet.saving import copy_weights

from .network import Network
from .preferred_shift import preferred_shift
from .rules import rule_for
from .values import AffineTensor, PendingConv


def fold(model, dtype="float32"):
    """The same function as `model` at inference, (N, H, W, C) -> (N, classes), with as few operations as it can be had.

    Norms go into convolutions or ride on the trunk; see this package. What cannot is left: where a gamma is negative or
    nearly zero, a multiplication; where a shift cannot ride, for its size or for want of a convolution to change it, an
    addition; layers that the rules do not know, or that are called as in training, are as they were. Exact in real arithmetic.
    Subsampling and padded channels, as in option A (He et al. 2015) become 1x1 convolutions with an identity kernel, so that
    runtimes know them.

    dtype: of the new model. Raises `UserError` for a model that is not functional, or has several inputs or outputs.
    """
    network = Network(model)
    inputs = keras.Input(network.input.shape[1:], name=network.input.name, dtype=dtype)
    values, layers = {id(network.input): AffineTensor.plain(inputs)}, {}
    for node in network.nodes:
        rule = None if node.arguments.kwargs.get("training") else rule_for(node.operation)
        given = [values[id(tensor)] for tensor in node.inputs]
        if rule is None:
            taken = copy_unchanged(node, given, layers, dtype)
        else:
            value = rule(network, node, given)
            alone = len(network.readers(node.output)) == 1
            if isinstance(value, PendingConv) and not alone:
                value = value.materialize(preferred_shift(network, node.output))
            taken = [value]
        values.update((id(tensor), value) for tensor, value in zip(node.outputs, taken, strict=True))
    return keras.Model(inputs, values[id(network.output)].as_tensor(), name=model.name)


def copy_unchanged(node, given, layers, dtype):
    """Calls a copy of the layer, with its weights, on the original's tensors. `layers`: the copies so far."""
    tensors = {id(tensor): value.as_tensor() for tensor, value in zip(node.inputs, given, strict=True)}
    arguments, keywords = node.arguments.fill_in(tensors)
    operation = node.operation
    if isinstance(operation, keras.Layer):
        if operation not in layers:
            layers[operation] = type(operation).from_config({**operation.get_config(), "dtype": dtype})
        outputs = layers[operation](*arguments, **keywords)
        copy_weights(operation, layers[operation])
    else:
        outputs = operation(*arguments, **keywords)
    return [AffineTensor.plain(output) for output in keras.tree.flatten(outputs)]
