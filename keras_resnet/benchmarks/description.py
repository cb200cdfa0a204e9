"""A Keras graph as plain data, for a process without Keras: one record per layer, in PyTorch's terms, NCHW."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import keras
import numpy as np

from keras_resnet._keras_internals import input_names
from keras_resnet.errors import UserError, comma_join


class Node(TypedDict):
    """kind: the class of the Keras layer. inputs: the names of the layers it reads. settings: arguments of PyTorch's module."""

    name: str
    kind: str
    inputs: list[str]
    settings: dict[str, Any]


def describe(model: keras.Model) -> list[Node]:
    """Returns the layers in topological order, the input first; a `UserError` names one that `torch_model` does not have."""
    graph: list[Node] = [
        {
            "name": layer.name,
            "kind": type(layer).__name__,
            "inputs": [] if isinstance(layer, keras.layers.InputLayer) else input_names(layer),
            "settings": layer_settings(layer),
        }
        for layer in model.layers
    ]
    return padding_merged(graph)


def padding_merged(graph: list[Node]) -> list[Node]:
    """Moves zeros around images into the padding of the layers that read them, as PyTorch's own networks have it.

    Such a layer is a convolution, or a max pooling after a ReLU: PyTorch's pads with -infinity, which is the same there.
    """
    relus = [node["name"] for node in graph if node["kind"] == "ReLU" or node["settings"].get("function") == "relu"]
    for node in [node for node in graph if node["kind"] == "ZeroPadding2D"]:
        left, right, top, bottom, *channels = node["settings"]["padding"]
        (before,) = node["inputs"]
        readers = [other for other in graph if node["name"] in other["inputs"]]
        kinds = ("Conv2D", "MaxPooling2D") if before in relus else ("Conv2D",)
        unpadded = [reader["kind"] in kinds and reader["settings"]["padding"] == 0 for reader in readers]
        if not channels and (left, top) == (right, bottom) and all(unpadded):
            for reader in readers:
                reader["inputs"], reader["settings"]["padding"] = [before], [top, left]
            graph.remove(node)
    return graph


def write(model: keras.Model, path: Path | str) -> None:
    """Writes the description and the weights, in Keras' layout, to an `.npz` file for `torch_model.read`."""
    weights = {f"{layer.name}/{index}": value for layer in model.layers for index, value in enumerate(layer.get_weights())}
    np.savez(path, graph=np.array(json.dumps(describe(model))), **weights)


def layer_settings(layer: keras.Layer) -> dict[str, Any]:
    kind = type(layer).__name__
    if kind not in SETTINGS:
        raise UserError(f"layer {layer.name} is a {kind}; the PyTorch model supports {comma_join(SETTINGS)}")
    return SETTINGS[kind](layer)


def conv(layer: Any) -> dict[str, Any]:
    activation(layer, supported=("linear",))
    settings = {"in_channels": layer.input.shape[-1], "out_channels": layer.filters, "kernel_size": layer.kernel_size}
    settings |= {"stride": layer.strides, "dilation": layer.dilation_rate, "groups": layer.groups, "bias": layer.use_bias}
    return {**settings, "padding": symmetric_padding(layer, layer.kernel_size, layer.dilation_rate)}


def symmetric_padding(layer: Any, kernel_size: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> int | list[int]:
    """Returns the pixels on each side."""
    if layer.padding == "valid":
        return 0
    if any(stride > 1 for stride in layer.strides) or any(size % 2 == 0 for size in kernel_size):
        raise UserError(f"layer {layer.name} pads unevenly, which PyTorch does not")
    return [rate * (size // 2) for size, rate in zip(kernel_size, dilation, strict=True)]


def dense(layer: Any) -> dict[str, Any]:
    settings = {"in_features": layer.input.shape[-1], "out_features": layer.units, "bias": layer.use_bias}
    return {**settings, "function": activation(layer)}


def activation(layer: Any, supported: tuple[str, ...] = ("linear", "relu", "softmax")) -> str:
    """Returns the name of the layer's activation."""
    name = keras.activations.serialize(layer.activation)
    if name not in supported:
        kind = f"layer {layer.name} is a {type(layer).__name__} with activation {name}"
        raise UserError(f"{kind}; the PyTorch model supports {comma_join(supported)} there")
    return name


def norm(layer: Any) -> dict[str, Any]:
    return {"num_features": layer.input.shape[-1], "eps": layer.epsilon, "momentum": 1 - layer.momentum}


def pool(layer: Any) -> dict[str, Any]:
    padding = symmetric_padding(layer, layer.pool_size)
    return {"kernel_size": layer.pool_size, "stride": layer.strides, "padding": padding}


def zero_padding(layer: Any) -> dict[str, Any]:
    """Counts as `torch.nn.functional.pad` does, from the last axis on: columns, rows, and then channels."""
    (top, bottom), (left, right) = layer.padding
    if layer.data_format == "channels_last":
        return {"padding": (left, right, top, bottom)}
    return {"padding": (top, bottom, 0, 0, left, right)}  # the axes after the first of (H, W, C)


SETTINGS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "InputLayer": lambda layer: {"shape": layer.batch_shape[1:]},
    "Activation": lambda layer: {"function": activation(layer)},
    "Conv2D": conv,
    "BatchNormalization": norm,
    "ReLU": lambda layer: {},
    "Add": lambda layer: {},
    "ZeroPadding2D": zero_padding,
    "MaxPooling2D": pool,
    "AveragePooling2D": pool,
    "GlobalAveragePooling2D": lambda layer: {},
    "Dense": dense,
    "Rescaling": lambda layer: {"scale": layer.scale, "offset": layer.offset},
}
