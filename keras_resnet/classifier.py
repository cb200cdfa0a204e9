"""A network and its preprocessing become one classifier of raw pixels, which evaluate and export take."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import keras

from keras_resnet.errors import UserError
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models.layers import LOGITS_LAYER, channel_axis
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import copy_weights, write_classifier
from keras_resnet.weights.loading import preprocessing_for


def save_classifier(model, path, labels, preprocessing=None, dataset=""):
    """Writes a `.keras` file that knows all it needs: raw pixels 0 to 255 in, class probabilities out, labels, preprocessing.

    `keras-resnet evaluate`, `predict` and `export` take the file; it also loads in plain Keras, without this package.

    Args:
        model: a network of this zoo with a top that ends in probabilities, on normalised images.
        path: of the file.
        labels: the classes' names, in the order of the outputs.
        preprocessing: a `Preprocessing` or the name of a protocol, see `preprocessing_for`; by default that
            of the weights which `load_weights` gave the network.
        dataset: name of the set that `evaluate` and `export` take by default.

    Raises:
        UserError: where labels, image size or number of channels do not match the network.
    """
    if not isinstance(preprocessing, Preprocessing):
        preprocessing = preprocessing_for(preprocessing or model)
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UserError(f"labels are {labels!r}; they are the classes' names in a tuple or list")
    labels = tuple(map(str, labels))
    if Path(path).suffix != ".keras" or not Path(path).parent.is_dir():
        raise UserError(f"{path} is no name for a classifier: it is a .keras file in a folder that exists")
    check(model, labels, preprocessing)
    classifier = with_preprocessing(model, preprocessing)
    record = ClassifierMetadata(model.name, dataset, labels, dataclasses.replace(preprocessing, channel_order="rgb"))
    write_classifier(classifier, path, record)


def check(model, labels, preprocessing):
    """Refuses what would make a classifier that cannot run, or that means something else than it says."""
    if channel_axis() != -1:
        raise UserError("classifiers are channels_last; keras.config.set_image_data_format('channels_last') before building")
    activation = getattr(model.layers[-1], "activation", None)
    probabilities = model.layers[-1].name != LOGITS_LAYER and activation in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    )
    if LOGITS_LAYER not in {layer.name for layer in model.layers} or not probabilities:
        raise UserError(f"{model.name} has no top that ends in probabilities: include_top and classifier_activation do it")
    if model.output_shape[1] != len(labels) or len(set(labels)) != len(labels):
        raise UserError(f"{model.name} has {model.output_shape[1]} classes, but there are {len(set(labels))} different labels")
    size = (preprocessing.height, preprocessing.width, preprocessing.channels)
    fits = [ours in (None, theirs) for ours, theirs in zip(model.input_shape[1:], size, strict=True)]
    if not all(fits):
        raise UserError(
            f"{model.name} takes images of {model.input_shape[1:]}, and its weights' preprocessing makes {size}: "
            f"build it with input_shape={size}, or pass another preprocessing"
        )


def with_preprocessing(model, preprocessing):
    """A copy of the network that begins with the scaling, and reads RGB whatever the original does."""
    pixels = keras.Input((preprocessing.height, preprocessing.width, preprocessing.channels))
    scaling = preprocessing.layer()
    if scaling.name in {layer.name for layer in model.layers}:  # somebody else's network may scale on its own
        scaling = type(scaling).from_config({**scaling.get_config(), "name": f"{scaling.name}_of_pixels"})

    def call(layer, *args, **kwargs):
        args = keras.tree.map_structure(scaled, args)
        return layer(*args, **kwargs)

    def scaled(x):
        is_input = isinstance(x, keras.KerasTensor) and isinstance(x._keras_history.operation, keras.layers.InputLayer)
        if not is_input:
            return x
        return scaling.output if scaling._inbound_nodes else scaling(x)  # once, however many read it

    copy = keras.models.clone_model(
        model, pixels, clone_function=lambda layer: type(layer).from_config(layer.get_config()), call_function=call
    )
    copy_weights(model, copy)
    if preprocessing.channel_order == "bgr":
        stem = stem_of(copy, scaling)
        stem.kernel.assign(keras.ops.flip(stem.kernel, axis=2))
    return copy


def stem_of(model, scaling):
    """The convolution that alone reads the scaled images, padded or not; a `UserError` where something else does."""
    first = [layer for layer in model.layers if not isinstance(layer, (keras.layers.InputLayer, keras.layers.ZeroPadding2D))]
    pads = [layer for layer in model.layers[: model.layers.index(first[1])] if isinstance(layer, keras.layers.ZeroPadding2D)]
    images = {id(layer.output) for layer in (scaling, *pads)}
    read = [tensor for reader in model.operations for node in reader._inbound_nodes for tensor in node.input_tensors]
    if type(first[1]) is not keras.layers.Conv2D or sum(id(tensor) in images for tensor in read) != len(images):
        raise UserError(f"{model.name} reads BGR otherwise than by one first convolution, which cannot be turned to RGB")
    return first[1]
