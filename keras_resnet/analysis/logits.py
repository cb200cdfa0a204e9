"""Runs a classifier up to its logits, whatever activation it ends in, and scores them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_resnet import _keras_internals
from keras_resnet.errors import UserError

from .network import Network

LINEAR, SOFTMAX = "linear", "softmax"


def up_to_logits(network: Network) -> dict[int, Callable[..., Any]]:
    """The call to replace, for `Forward`, so that the model returns logits: that of a softmax at its end, if it has one.

    Logits keep their digits where probabilities have become 0 and 1.

    Raises:
        UserError: if the model ends in another activation.
    """
    model: Any = network.model
    while True:
        tensor = model.outputs[0]
        operation = _keras_internals.producer(tensor)
        graph: Any = _keras_internals.functional_part(operation)
        if not _keras_internals.is_functional(graph):
            break
        model = graph
    (call,) = [call for call in _keras_internals.graph_calls(model) if any(made is tensor for made in call.outputs)]
    activation = activation_of(operation)
    if activation == LINEAR:
        return {}
    if activation != SOFTMAX:
        raise UserError(f"{network.name} ends in {activation}; the loss of a classifier needs softmax, or logits")
    if isinstance(operation, keras.layers.Dense):
        return {id(call): lambda x, **kwargs: affine(operation, x)}
    return {id(call): lambda x, **kwargs: x}


def activation_of(operation: Any) -> str:
    """The name of the activation function that an operation is, or ends with."""
    kind = _keras_internals.operation_kind(operation)
    if isinstance(operation, keras.layers.Softmax) or kind == "Softmax":
        return SOFTMAX
    if kind == "Sigmoid" or isinstance(operation, keras.layers.ReLU):
        return type(operation).__name__.lower()
    activation = getattr(operation, "activation", None)
    return LINEAR if activation is None else getattr(activation, "__name__", str(activation))


def affine(layer: Any, x: Any) -> Any:
    """What a dense layer computes before its activation."""
    y = keras.ops.matmul(keras.ops.cast(x, layer.compute_dtype), layer.kernel)
    return y if layer.bias is None else keras.ops.add(y, layer.bias)


def mean_cross_entropy(logits: Any, labels: np.ndarray) -> Any:
    """The mean sparse categorical cross-entropy: (N, classes), (N,) -> scalar, in at least single precision."""
    if keras.backend.standardize_dtype(logits.dtype) != "float64":
        logits = keras.ops.cast(logits, "float32")
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The sparse categorical cross-entropy of each image in double precision: (N, classes), (N,) -> (N,)."""
    logits = logits.astype(np.float64)
    highest = logits.max(axis=1)
    return highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)) - logits[np.arange(len(labels)), labels]
