"""A Keras graph in plain data, for a process that has no Keras: one record a layer, in the words of PyTorch, NCHW."""

import keras

from keras_resnet.errors import UserError, choices


def describe(model):
    """[{"name", "kind", "inputs": names, "settings": {...}}] in topological order, the input first."""
    return [
        {"name": layer.name, "kind": type(layer).__name__, "inputs": inputs(layer), "settings": settings_of(layer)}
        for layer in model.layers
    ]


def inputs(layer):
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]


def settings_of(layer):
    kind = type(layer).__name__
    if kind not in SETTINGS:
        raise UserError(f"layer {layer.name} is a {kind}; there is a twin in PyTorch for {choices(SETTINGS)}")
    return SETTINGS[kind](layer)


def conv(layer):
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
    "InputLayer": lambda layer: {},
    "Conv2D": conv,
    "BatchNormalization": norm,
    "ReLU": lambda layer: {},
    "Add": lambda layer: {},
    "ZeroPadding2D": zeros,
    "MaxPooling2D": pool,
    "AveragePooling2D": pool,
    "GlobalAveragePooling2D": lambda layer: {},
    "Dense": lambda layer: {"in_features": layer.input.shape[-1], "out_features": layer.units},
    "Rescaling": lambda layer: {"scale": layer.scale, "offset": layer.offset},
}
