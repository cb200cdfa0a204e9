"""Brings the end of any classifier into one form: logits, (N, classes), then an activation layer of its own."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_resnet._keras_internals import operation_kind, producer, producer_inputs, tensors_read
from keras_resnet.errors import UserError
from keras_resnet.models.naming import LOGITS_LAYER, PREDICTIONS_LAYER

from ..fold.layers import is_identity

Activation = Callable[..., Any]

BOTH_CLASSES = f"{LOGITS_LAYER}_of_both"  # the layer that makes the logits of two classes of one
GLOBAL_POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
SOFTMAX, SIGMOID, LOG_SOFTMAX = keras.activations.softmax, keras.activations.sigmoid, keras.activations.log_softmax
END_ACTIVATIONS = (SOFTMAX, SIGMOID, LOG_SOFTMAX)
OPERATIONS = {"Softmax": SOFTMAX, "Sigmoid": SIGMOID, "LogSoftmax": LOG_SOFTMAX}  # of `keras.ops`
RESHAPES = ("Reshape", "Squeeze", "ExpandDims")  # likewise
SCALINGS = ("Add", "Subtract", "Multiply", "TrueDivide", "Divide")  # likewise


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A model whose last layer is an activation, and how its outputs follow from those of the model that it was made from.

    Attributes:
        model: images to probabilities, (N, classes).
        activation: what the original itself ends in; None where it ends in logits.
    """

    model: keras.Model
    activation: Activation | None

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """What the model must give where the original gives `outputs`."""
        classes = self.model.output_shape[-1]
        outputs = outputs.astype(np.float32).reshape(len(outputs), -1)
        if self.activation in (None, LOG_SOFTMAX):
            single = outputs.shape[1] == 1
            outputs = np.asarray((keras.ops.sigmoid if single else keras.ops.softmax)(outputs))
        return np.concatenate([1 - outputs, outputs], axis=1) if (outputs.shape[1], classes) == (1, 2) else outputs


def with_output_layer(path: Any, model: keras.Model, classes: int) -> Classifier:
    """The same model with its activation as a layer of its own at the end; a softmax if it ends in logits.

    One number for two classes, as of a sigmoid, becomes the probabilities of both: 1 - p and p.

    Raises:
        UserError: If it does not end as a classifier does.
    """
    shape = model.output_shape
    if len(shape) < 2 or any(side != 1 for side in shape[1:-1]) or shape[-1] is None:
        raise UserError(f"{path} gives {shape}; a classifier gives (N, classes)")
    outputs = skip_trailing(model.outputs[0], passes_classes_on)
    last = producer(outputs)
    activation = activation_of(last)
    logits: Any = outputs
    if activation in END_ACTIVATIONS:
        logits = without_activation(last, outputs)
    elif gives_logits(outputs):
        activation = None
    else:
        raise UserError(
            f"{path} ends in {last.name}, {describe_end(last, activation)}; "
            "a classifier ends in a softmax or in a linear layer: save a model that ends in one"
        )
    if len(logits.shape) > 2:
        logits = layers.Flatten(name=f"{LOGITS_LAYER}_flatten")(logits)
    final = SIGMOID if activation is SIGMOID else SOFTMAX
    if logits.shape[-1] == 1:
        if activation is SOFTMAX or (classes == 1 and activation is not SIGMOID):
            raise UserError(
                f"{path} gives one number, whose softmax is always 1; it takes a sigmoid and two labels, "
                "that of low numbers first"
            )
        if classes == 2:
            logits, final = both_classes(logits), SOFTMAX
    if logits.shape[-1] != classes:
        raise UserError(describe_label_count(path, logits.shape[-1], classes))
    names = {operation.name for operation in model.operations}
    name = PREDICTIONS_LAYER if PREDICTIONS_LAYER not in names else f"{PREDICTIONS_LAYER}_{final.__name__}"
    return Classifier(keras.Model(model.inputs[0], layers.Activation(final, name=name)(logits), name=model.name), activation)


def describe_label_count(path: Any, outputs: int, labels: int) -> str:
    """What to do where labels and outputs differ in number."""
    advice = "one label for each output, in their order"
    if outputs == 1:
        advice = "two labels for one output, that of low numbers first"
    return f"{path} has {outputs} output{'' if outputs == 1 else 's'} and {labels} labels; it takes {advice}"


def describe_end(operation: Any, activation: Any) -> str:
    """What is wrong with the end of a model."""
    if activation in END_ACTIVATIONS or operation_axis(operation) is not None:
        return "whose softmax is not over the last axis"
    if activation:
        return f"with activation {getattr(activation, '__name__', type(activation).__name__)}"
    return "which does not say whether it gives probabilities"


def both_classes(logits: keras.KerasTensor) -> keras.KerasTensor:
    """(0, logit) of a single logit: the softmax of that is the sigmoid, after its complement."""
    layer = layers.Dense(2, name=BOTH_CLASSES, dtype="float32")
    both: Any = layer(logits)
    layer.set_weights([np.array([[0.0, 1.0]]), np.zeros(2)])
    return both


def without_activation(operation: Any, output: keras.KerasTensor) -> Any:
    """The input of an activation, or the output of a copy of the layer that has none."""
    inputs = producer_inputs(output)[0]
    if not hasattr(operation, "kernel"):
        return inputs
    config = {**operation.get_config(), "activation": None, "name": LOGITS_LAYER}
    linear = type(operation).from_config(config)
    logits = linear(inputs)
    linear.set_weights(operation.get_weights())
    return logits


def gives_logits(tensor: keras.KerasTensor) -> bool:
    """Whether a linear layer made the tensor, or a global pooling of something that is not probabilities yet.

    Numbers by which logits are multiplied, such as a temperature, or that are added to them leave them logits.
    """
    before = skip_trailing(tensor, lambda operation: is_reshape(operation) or is_identity(operation) or is_scaling(operation))
    activation = activation_of(producer(before))
    pooled = isinstance(producer(tensor), GLOBAL_POOLINGS) and isinstance(producer(before), layers.Layer)
    return activation is keras.activations.linear or (pooled and activation not in END_ACTIVATIONS)


def is_reshape(operation: Any) -> bool:
    return isinstance(operation, (layers.Reshape, layers.Flatten, *GLOBAL_POOLINGS)) or operation_kind(operation) in RESHAPES


def is_scaling(operation: Any) -> bool:
    """Whether it multiplies one tensor by a number, or adds one."""
    if isinstance(operation, layers.Rescaling):
        return True
    return operation_kind(operation) in SCALINGS and len({id(tensor) for tensor in tensors_read(operation)}) == 1


def passes_classes_on(operation: Any) -> bool:
    """Whether an operation at the end of a model changes nothing about the classes: a dropout, a cast, axes of size 1."""
    if is_identity(operation) or operation_kind(operation) == "Cast":
        return True
    if isinstance(operation, GLOBAL_POOLINGS) or not is_reshape(operation):
        return False
    [tensor] = tensors_read(operation)[:1]
    return len(tensor.shape) > 1 and all(side == 1 for side in tensor.shape[1:-1])


def activation_of(operation: Any) -> Activation | None:
    """The activation function of a layer or operation, over the last axis; None for one without."""
    activation = OPERATIONS.get(operation_kind(operation), getattr(operation, "activation", None))
    if isinstance(operation, layers.Softmax):
        activation = SOFTMAX
    rank = len(tensors_read(operation)[0].shape) if tensors_read(operation) else 0
    return activation if operation_axis(operation) in (None, -1, rank - 1) else None


def operation_axis(operation: Any) -> Any:
    """The axis of a softmax; None for an operation of another kind."""
    softmax = isinstance(operation, layers.Softmax) or operation_kind(operation) in ("Softmax", "LogSoftmax")
    return operation.axis if softmax else None


def skip_trailing(tensor: keras.KerasTensor, passes: Callable[[Any], bool]) -> keras.KerasTensor:
    """Goes back from a tensor as long as `passes(operation)` is true for what made it."""
    while passes(producer(tensor)):
        tensor = producer_inputs(tensor)[0]
    return tensor
