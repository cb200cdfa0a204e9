"""Checks the images and labels that a user passes, before anything runs on them."""

from typing import Any

import numpy as np

from keras_resnet.errors import UserError

from .network import Network


def check_images(network: Network, images: Any) -> np.ndarray:
    """The images as an array of the shape and type that the model takes.

    Raises:
        UserError: if they are not numbers, of another shape, none, or not finite.
    """
    (symbolic,) = network.model.inputs
    array = as_array(images, "images")
    expected = tuple(symbolic.shape[1:])
    fits = array.ndim == len(expected) + 1 and all(
        side in (None, actual) for side, actual in zip(expected, array.shape[1:], strict=True)
    )
    if not fits:
        raise UserError(f"images has the shape {array.shape}; {network.name} takes (N, {', '.join(map(str, expected))})")
    if not array.size:
        raise UserError(f"images has the shape {array.shape}; there must be at least one")
    if not np.isfinite(array).all():
        raise UserError(f"images has {np.count_nonzero(~np.isfinite(array))} values that are NaN or infinite")
    return array.astype(symbolic.dtype if symbolic.dtype != "bfloat16" else "float32")


def check_labels(network: Network, labels: Any, count: int, name: str = "labels") -> np.ndarray:
    """The labels of `count` images, which errors call `name`, as an array of whole numbers, (N,).

    Raises:
        UserError: if the model has no classes, or the labels are not one of its classes for each image.
    """
    classes = number_of_classes(network)
    array = as_array(labels, name)
    if array.shape != (count,):
        raise UserError(f"{name} has the shape {array.shape}; for {count} images it is ({count},), one class number each")
    wrong = array[~((array >= 0) & (array < classes) & (array == np.floor(array)))]
    if wrong.size:
        raise UserError(f"{name} has the value {wrong[0]}; the classes of {network.name} are the numbers 0 to {classes - 1}")
    return array.astype(np.int64)


def number_of_classes(network: Network) -> int:
    """The length of the model's output.

    Raises:
        UserError: if the output is not one vector per image.
    """
    outputs = network.model.outputs
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[1] is None:
        raise UserError(f"{network.name} has no top that gives one number per class: build it with include_top")
    return outputs[0].shape[1]


def as_array(values: Any, name: str) -> np.ndarray:
    """An array of numbers of what a user passes as one.

    Raises:
        UserError: if it is something else.
    """
    try:
        array = np.asarray(values)
    except Exception as error:
        raise UserError(f"{name} is a {type(values).__name__} that is not an array of numbers") from error
    if array.dtype.kind not in "uif":
        raise UserError(f"{name} is a {type(values).__name__} of {array.dtype}; it must be an array of numbers")
    return array
