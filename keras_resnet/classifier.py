"""Turns a network and its preprocessing into one classifier of raw pixels, which evaluate and export take."""

import collections
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras

from keras_resnet import _keras_internals
from keras_resnet.constructors import constructor
from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models.layers import channel_axis
from keras_resnet.models.naming import LOGITS_LAYER
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.recorded import Record, record_on, set_record
from keras_resnet.remote import RemotePath, as_path
from keras_resnet.remote_copies import local
from keras_resnet.saving import copy_weights, load_as_saved, to_stock, write_classifier
from keras_resnet.weights.loading import preprocessing_for
from keras_resnet.weights.pretrained.entries import PretrainedWeights
from keras_resnet.weights.pretrained.lookup import entry_of_file, resolve_model_path


def save_classifier(
    model: keras.Model,
    path: str | os.PathLike[str],
    labels: Iterable[str],
    preprocessing: Preprocessing | str | None = None,
    dataset: str = "",
) -> None:
    """Writes a self-contained `.keras` file: raw pixels 0 to 255 in, class probabilities out, labels, preprocessing.

    `keras-resnet evaluate`, `predict` and `export` take the file; it also loads in plain Keras, without this package.

    Args:
        model: a network of this zoo for normalized images, with a top that ends in probabilities.
        path: of the file.
        labels: the classes' names, in the order of the outputs.
        preprocessing: a `Preprocessing` or the name of a preset, see `preprocessing_for`; by default that of the weights
            which `load_weights` loaded into the network.
        dataset: name of the data set that `evaluate` and `export` use by default.

    Raises:
        UserError: if labels, image size or number of channels do not match the network.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"{model!r} is not a keras.Model")
    if not isinstance(preprocessing, Preprocessing):
        preprocessing = preprocessing_for(preprocessing or model)
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UserError(f"labels are {labels!r}; they are the classes' names in a tuple or list")
    labels = tuple(map(str, labels))
    target = as_path(path)
    if Path(target.name).suffix != ".keras" or not (isinstance(target, RemotePath) or target.parent.is_dir()):
        raise UserError(f"{path} is not a valid name for a classifier: it is a .keras file in a folder that exists")
    check_classifier(model, labels, preprocessing)
    classifier = with_preprocessing(model, preprocessing)
    rgb = dataclasses.replace(preprocessing, channel_order="rgb")
    metadata = ClassifierMetadata(model.name, dataset, labels, rgb, record_on(model).origin)
    write_classifier(classifier, path, metadata)


def pretrained_classifier(entry: PretrainedWeights, weights: str | os.PathLike[str] | None = None) -> keras.Model:
    """Builds the network of trained weights that come with this package: raw pixels 0 to 255 in, class probabilities out.

    weights: another file with weights of the same network, for one that is not yet part of the package.
    """
    scaled = entry.preprocessing.layer()(keras.Input(entry.preprocessing.shape, name="pixels"))
    model = constructor(entry.model)(
        input_tensor=scaled, classes=len(entry.class_names), weights=entry.name if weights is None else weights
    )
    set_record(model, Record())  # raw pixels need no scaling
    return model


def load_classifier(path_or_name: str | os.PathLike[str]) -> keras.Model:
    """Loads a classifier of raw pixels: (N, H, W, C) from 0 to 255, uint8 or floats, to probabilities, (N, classes).

    `load_model` loads a `.keras` file in fast layers; this one with the layers that it was saved with. Trained weights of this
    package come in Keras' own.

    Args:
        path_or_name: a `.keras` file that `train`, `import` or `save_classifier` wrote, or its URL, such as
            "gs://bucket/model.keras"; or the network and the name of trained weights, such as "ResNet20V2/digits", see
            `list_pretrained`. `"./ResNet20V2/digits"` and a `Path` are paths.

    Raises:
        UserError: if there is no such name or file, or it is no classifier with labels and preprocessing. Code inside of a
            file is never run.
    """
    if not isinstance(path_or_name, (str, os.PathLike)):
        raise UserError(f"{path_or_name!r} is neither the path of a .keras file nor a name such as 'ResNet20V2/digits'")
    path = local(resolve_model_path(path_or_name))
    model = load_unchanged(path)
    if read_metadata(path) is None:
        raise UserError(f"{path} carries no labels and preprocessing: keras_resnet.load_model loads it as it is")
    return model


def load_unchanged(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a `.keras` file with the layers that it was saved with, or trained weights of this package in stock layers.

    Raises:
        UserError: if the file cannot be loaded. Code inside of it is never run.
    """
    entry = entry_of_file(path)
    return to_stock(pretrained_classifier(entry)) if entry else load_as_saved(path)


def read_metadata(path: str | os.PathLike[str]) -> ClassifierMetadata | None:
    """Reads the labels and the preprocessing of a file that `load_unchanged` loads; None if it has none.

    Raises:
        UserError: if they are damaged.
    """
    entry = entry_of_file(path)
    return entry.metadata if entry else ClassifierMetadata.read_from(path)


def check_classifier(model: keras.Model, labels: tuple[str, ...], preprocessing: Preprocessing) -> None:
    """Raises a `UserError` for what would make a classifier that cannot run, or whose labels or images are wrong."""
    if channel_axis() != -1:
        raise UserError("classifiers are channels_last; keras.config.set_image_data_format('channels_last') before building")
    last = model.layers[-1] if model.layers else None
    activation = getattr(last, "activation", None)
    probabilities = last and last.name != LOGITS_LAYER and activation in (keras.activations.softmax, keras.activations.sigmoid)
    if LOGITS_LAYER not in {layer.name for layer in model.layers} or not probabilities:
        raise UserError(
            f"{model.name} has no top that ends in probabilities: build it with include_top and a classifier_activation"
        )
    if model.output_shape[1] != len(labels) or len(set(labels)) != len(labels):
        twice = [label for label, count in collections.Counter(labels).items() if count > 1]
        advice = f": {comma_join(map(repr, twice), 3)} is there more than once" if twice else ""
        raise UserError(
            f"{model.name} has {model.output_shape[1]} classes, but there are {len(set(labels))} different labels{advice}"
        )
    fits = [ours in (None, theirs) for ours, theirs in zip(model.input_shape[1:], preprocessing.shape, strict=True)]
    if not all(fits):
        raise UserError(
            f"{model.name} takes images of {model.input_shape[1:]}, "
            f"and its weights' preprocessing makes {preprocessing.shape}: "
            f"build it with input_shape={preprocessing.shape}, or pass another preprocessing"
        )


def with_preprocessing(model: keras.Model, preprocessing: Preprocessing) -> keras.Model:
    """Copies the network and puts the scaling in front: the copy reads raw RGB pixels, whatever the original reads."""
    pixels = keras.Input(preprocessing.shape)
    scaling = preprocessing.layer()
    if scaling.name in {layer.name for layer in model.layers}:  # a network from elsewhere may scale on its own
        scaling = type(scaling).from_config({**scaling.get_config(), "name": f"{scaling.name}_of_pixels"})

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        scaled_args: Any = keras.tree.map_structure(scaled, args)
        return layer(*scaled_args, **kwargs)

    def scaled(x: Any) -> Any:
        if not isinstance(x, keras.KerasTensor) or not isinstance(_keras_internals.producer(x), keras.layers.InputLayer):
            return x
        return scaling.output if _keras_internals.was_called(scaling) else scaling(x)  # once, however many layers read it

    copy = keras.models.clone_model(
        model, pixels, clone_function=lambda layer: type(layer).from_config(layer.get_config()), call_function=call
    )
    copy_weights(model, copy)
    set_record(copy, Record())  # raw pixels need no scaling
    if preprocessing.channel_order == "bgr":
        stem = find_stem(copy, scaling)
        stem.kernel.assign(keras.ops.flip(stem.kernel, axis=2))
    return copy


def find_stem(model: keras.Model, scaling: keras.Layer) -> Any:
    """The only convolution that reads the scaled images, padded or not.

    Raises:
        UserError: if something else reads them as well.
    """
    first = [layer for layer in model.layers if not isinstance(layer, (keras.layers.InputLayer, keras.layers.ZeroPadding2D))]
    pads = [layer for layer in model.layers[: model.layers.index(first[1])] if isinstance(layer, keras.layers.ZeroPadding2D)]
    images = {id(layer.output) for layer in (scaling, *pads)}
    read = [tensor for reader in model.operations for tensor in _keras_internals.tensors_read(reader)]
    if type(first[1]) is not keras.layers.Conv2D or sum(id(tensor) in images for tensor in read) != len(images):
        raise UserError(f"{model.name} reads BGR other than through one first convolution, which cannot be turned to RGB")
    return first[1]
