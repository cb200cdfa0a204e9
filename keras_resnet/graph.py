"""Measures a functional model's graph: multiply-adds, the longest path, strides."""

import math
from collections.abc import Callable
from typing import Any, cast

import keras

from keras_resnet import _keras_internals
from keras_resnet.errors import UserError


def macs(model: keras.Model) -> int:
    """Counts the multiply-adds of all convolutions and dense layers, for one image of the model's input size.

    Raises:
        UserError: if the image size is not fixed.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            output, kernel = cast(keras.KerasTensor, layer.output), cast(keras.Variable, layer.kernel)
            positions = math.prod(spatial_shape(output.shape)) if isinstance(layer, keras.layers.Conv2D) else 1
            total += positions * math.prod(kernel.shape)
    return total


def spatial_shape(shape: tuple[int | None, ...]) -> tuple[int, int]:
    """The height and width of a feature map of rank 4."""
    height, width = shape[1:3] if keras.config.image_data_format() == "channels_last" else shape[2:4]
    if height is None or width is None:
        raise UserError("multiply-adds depend on the image size: build the network with a fixed input_shape")
    return height, width


def longest_path(model: keras.Model) -> int:
    """Counts the layers with a kernel on the longest path from input to output: what the papers call depth."""
    return max(accumulate(model, lambda layer: int(hasattr(layer, "kernel")), lambda own, before: own + before).values())


def strides(model: keras.Model) -> dict[str, int]:
    """`{layer name: image pixels per pixel of its output}`."""
    return accumulate(model, lambda layer: max(getattr(layer, "strides", (1,))), lambda own, before: own * before, start=1)


def accumulate(
    model: keras.Model, own: Callable[[Any], int], combine: Callable[[int, int], int], start: int = 0
) -> dict[str, int]:
    """`{name: combine(own(layer), the largest value of its predecessors)}` of all layers and other operations in the graph."""
    values: dict[str, int] = {}
    for operation in cast(Any, model).operations:  # in topological order
        before = [values.get(name, start) for name in _keras_internals.input_names(operation)]
        values[operation.name] = combine(own(operation), max(before, default=start))
    return values
