"""A Keras graph in plain data, for a process that has no Keras: one record a layer, in the words of PyTorch, NCHW."""

import json

import keras
import numpy as np

from keras_resnet.errors import UserError, comma_join


def describe(model):
    """[{"name", "kind", "inputs": names, "settings": {...}}] in topological order, the input first."""
    graph = [
        {"name": layer.name, "kind": type(layer).__name__, "inputs": inputs(layer), "settings": settings_of(layer)}
        for layer in model.layers
    ]
    return padding_inside(graph)


def padding_inside(graph):
    """Zeros around images become the padding of who reads them, as in PyTorch's own networks.

    That is a convolution, or a maximum behind a ReLU: PyTorch's pads with -infinity, which there is the same.
    """
    relus = [node["name"] for node in graph if node["kind"] == "ReLU" or node["settings"].get("function") == "relu"]
    for node in [node for node in graph if node["kind"] == "ZeroPadding2D"]:
        left, right, top, bottom, *channels = node["settings"]["padding"]
        (before,) = node["inputs"]
        readers = [other for other in graph if node["name"] in other["inputs"]]
        fitting = ("Conv2D", "MaxPooling2D") if before in relus else ("Conv2D",)
        fits = [reader["kind"] in fitting and reader["settings"]["padding"] == 0 for reader in readers]
        if not channels and (left, top) == (right, bottom) and all(fits):
            for reader in readers:
                reader["inputs"], reader["settings"]["padding"] = [before], [top, left]
            graph.remove(node)
    return graph


def write(model, path):
    """Writes the description and the weights, as Keras has them, for `torch_model.read`: an `.npz` file."""
    weights = {f"{layer.name}/{index}": value for layer in model.layers for index, value in enumerate(layer.get_weights())}
    np.savez(path, graph=json.dumps(describe(model)), **weights)


def inputs(layer):
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]


def settings_of(layer):
    kind = type(layer).__name__
    if kind not in SETTINGS:
        raise UserError(f"layer {layer.name} is a {kind}; there is a twin in PyTorch for {comma_join(SETTINGS)}")
    return SETTINGS[kind](layer)


def conv(layer):
    function(layer, known=("linear",))
    settings = {"in_channels": layer.input.shape[-1], "out_channels": layer.filters, "kernel_size": layer.kernel_size}
    settings |= {"stride": layer.strides, "dilation": layer.dilation_rate, "bias": layer.use_bias}
    return {**settings, "padding": same(layer, layer.kernel_size, layer.dilation_rate)}


def same(layer, kernel_size, dilation=(1, 1)):
    """How many pixels on each side."""
    if layer.padding == "valid":
        return 0
    if any(stride > 1 for stride in layer.strides) or any(size % 2 == 0 for size in kernel_size):
        raise UserError(f"layer {layer.name} pads unevenly, which PyTorch does not")
    return [rate * (size // 2) for size, rate in zip(kernel_size, dilation, strict=True)]


def dense(layer):
    settings = {"in_features": layer.input.shape[-1], "out_features": layer.units, "bias": layer.use_bias}
    return {**settings, "function": function(layer)}


def function(layer, known=("linear", "relu", "softmax")):
    """The name of its activation."""
    name = keras.activations.serialize(layer.activation)
    if name not in known:
        kind = f"layer {layer.name} is a {type(layer).__name__} with activation {name}"
        raise UserError(f"{kind}; there is a twin in PyTorch for {comma_join(known)}")
    return name


def norm(layer):
    return {"num_features": layer.input.shape[-1], "eps": layer.epsilon, "momentum": 1 - layer.momentum}


def pool(layer):
    return {"kernel_size": layer.pool_size, "stride": layer.strides, "padding": same(layer, layer.pool_size)}


def zeros(layer):
    """As `torch.nn.functional.pad` counts: (columns, rows), and behind them channels, from the last axis on."""
    (top, bottom), (left, right) = layer.padding
    if layer.data_format == "channels_last":
        return {"padding": (left, right, top, bottom)}
    return {"padding": (top, bottom, 0, 0, left, right)}  # the axes behind the first of (H, W, C)


SETTINGS = {
    "InputLayer": lambda layer: {"shape": layer.batch_shape[1:]},
    "Activation": lambda layer: {"function": function(layer)},
    "Conv2D": conv,
    "BatchNormalization": norm,
    "ReLU": lambda layer: {},
    "Add": lambda layer: {},
    "ZeroPadding2D": zeros,
    "MaxPooling2D": pool,
    "AveragePooling2D": pool,
    "GlobalAveragePooling2D": lambda layer: {},
    "Dense": dense,
    "Rescaling": lambda layer: {"scale": layer.scale, "offset": layer.offset},
}
