"""What a functional model's graph tells: multiply-adds, the longest path, strides."""

import math

import keras

from keras_resnet.errors import UserError

from .layers import channel_axis


def macs(model):
    """Of all convolutions and dense layers, for one image of the model's input size."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            positions = math.prod(spatial(layer.output.shape)) if isinstance(layer, keras.layers.Conv2D) else 1
            total += positions * math.prod(layer.kernel.shape)
    return total


def spatial(shape):
    height_and_width = shape[1:3] if channel_axis() == -1 else shape[2:4]
    if None in height_and_width:
        raise UserError("multiply-adds depend on the image size: build the network with a fixed input_shape")
    return height_and_width


def longest_path(model):
    """The number of layers with a kernel on the longest path from input to output: what the papers call depth."""
    return max(accumulate(model, lambda layer: int(hasattr(layer, "kernel")), lambda own, before: own + before).values())


def strides(model):
    """`{layer name: image pixels per pixel of its output}`."""
    return accumulate(model, lambda layer: max(getattr(layer, "strides", (1,))), lambda own, before: own * before, start=1)


def accumulate(model, own, combine, start=0):
    """`{layer name: combine(own(layer), most of its predecessors')}` along the graph."""
    values = {}
    for layer in model.layers:  # in topological order
        before = [values.get(tensor._keras_history.operation.name, start) for tensor in keras.tree.flatten(layer.input)]
        values[layer.name] = combine(own(layer), max(before, default=start))
    return values
