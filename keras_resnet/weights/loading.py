"""Loads weights from files: the zoo's own, and those of other libraries, exactly."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_resnet.errors import UserError, comma_join
from keras_resnet.hub.licenses import say_if_non_commercial
from keras_resnet.hub.repository import Repository, find_repository
from keras_resnet.models.naming import LOGITS_LAYER, STEM_CONV
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.recorded import Record, record_on, set_record
from keras_resnet.remote_copies import local

from . import applications, channels, matching
from .availability import check_exists, valid_names
from .checkpoint_formats import PREPROCESSING_PRESETS, check_preset
from .claims import as_configured, check_claims
from .file_records import record_of
from .inner_network import find_network
from .pretrained import lookup
from .pretrained.arguments import check_arguments
from .pretrained.entries import PretrainedWeights
from .readers import keras_layers, read
from .stored_tensors import SizeLimits
from .structure import Structure


def load_weights(
    model: keras.Model, path_or_name: str | os.PathLike[str], skip_head: bool = False, adapt_channels: bool = False
) -> keras.Model:
    """Loads weights into a network of this zoo; the file's content tells where they come from.

    Supported are the zoo's own files (`.weights.h5`, `.keras`); keras.applications' ResNet and ResNetV2 (`.h5`, `.weights.h5`,
    `.keras`, with or without top); state dicts of timm's `resnet.py` and `resnetv2.py`, of torchvision's ResNets, of
    transformers' ResNets and BiT, and of akamaster's CIFAR ResNets (`.pth`, `.th`, `.safetensors`; bare, prefixed with
    `module.`, or in a training program's dictionary, where the network's own tensors come before averaged ones); Google's BiT
    (`.npz`); KerasHub's ResNet presets (the folder); checkpoints of TF-Slim and of the TensorFlow Model Garden (the index, the
    data, or what their names begin with). "imagenet" downloads keras.applications' file for the network, and the names in
    `list_pretrained()`, such as "digits", stand for the trained weights that come with this package.

    Networks that have the same tensors and compute different things, such as timm's resnet50 and resnetaa50, are told apart by
    a `config.json` next to the file, or by its name if it begins with that of an architecture; where neither says anything, the
    model that was chosen counts.

    Keras' `.weights.h5` says nothing about the network but its layers' names: from there, the zoo's own weights load into a
    network that has the same layers in another order, with other strides, or with filters in their place. From a `.keras` file
    they do not.

    The network may lie inside another, as in `Sequential([Rescaling(...), ResNet50(include_top=False), ...])` or behind a
    prefix such as `encoder.`: it is found, and the layers around it count as its head.

    Nothing in the file is ever executed.

    Args:
        model: a network of this zoo; one without a top takes files with and without.
        path_or_name: path of a file, its URL such as "gs://bucket/model.keras", or a name: "imagenet", or one in
            `list_pretrained()`. A text that is a name is taken for it; `"./digits"` and `Path("digits")` are paths. Or a
            repository of the Hugging Face Hub, "hf://owner/name" or "hf://owner/name@revision", whose `model.safetensors` is
            taken, or a folder laid out like one.
        skip_head: leave the classifier `head_dense` as it is, and leave out whatever head the file has. Needed if the number of
            classes differs, or if the head is another than one dense layer.
        adapt_channels: make a first kernel for the model's images where the file's is for RGB: for one channel the sum over the
            three, for n the three repeated, times 3/n, as timm does with `in_chans`. Otherwise such a file does not fit.

    Returns:
        The model. `preprocessing_for(model)` tells how to prepare its images.

    Raises:
        UserError: on any mismatch; nothing is loaded then. The message begins the lists of the tensors that are missing,
            unexpected or misshaped, the attributes `missing`, `unexpected` and `misshaped` hold them whole.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"{model!r} is not a keras.Model")
    structure = Structure.of_model(model)
    if structure is None:
        raise UserError(f"{model.name} is not a network of this zoo: its layers have other names{advice_about_inside(model)}")
    if not isinstance(path_or_name, (str, os.PathLike)):
        raise UserError(f"weights are {path_or_name!r}; they are the path of a file, or {valid_names()}")
    if lookup.is_name(path_or_name):
        return load_entry(model, lookup.find_entry_for(structure, str(path_or_name), model.name), skip_head)
    repository = find_repository(path_or_name)
    path = path_of(model, structure, path_or_name, repository)
    check_exists(path, path_or_name)
    tensors = read(path, SizeLimits.of(model))
    checkpoint_format, place = find_network(tensors, path)
    checkpoint_format = as_configured(path, checkpoint_format)
    matching.check_structure(checkpoint_format, structure, model.name, path)
    check_claims(path, checkpoint_format, structure, model.name)
    layers = keras_layers(path, place)
    check_same_structure(path, layers, structure, model.name)
    ours, unknown = matching.translate(tensors, checkpoint_format, place)
    record = record_of(path, repository, checkpoint_format, layers, place)
    ours = matching.adapt_conventions(model, ours, checkpoint_format)
    if adapt_channels:
        ours = channels.adapt_channels(model, ours, path)
        record = record._replace(preprocessing=channels.adapt_preprocessing(record.preprocessing, stem_channels(model)))
    where = f"{path}, layer {place[:-1]}," if place else path
    matching.assign(model, ours, unknown, skip_head, where, checkpoint_format)
    set_record(model, record)
    if record.origin:
        say_if_non_commercial(record.origin.weights, record.origin.license)
    return model


def path_of(
    model: keras.Model, structure: Structure, path_or_name: str | os.PathLike[str], repository: Repository | None
) -> str:
    """The local path of the file that `load_weights` was given, which is fetched if need be."""
    if path_or_name == applications.IMAGENET:
        return applications.fetch(model, structure)
    return os.fspath(repository.weights() if repository else local(path_or_name))


def load_entry(model: keras.Model, entry: PretrainedWeights, skip_head: bool) -> keras.Model:
    """Loads trained weights that come with this package into a network of their structure; see `load_weights`."""
    check_arguments(entry, channels=stem_channels(model), classes=None if skip_head else class_count(model))
    tensors = read(os.fspath(entry.checked_path()), SizeLimits.of(model))
    checkpoint_format, _ = find_network(tensors, entry.full_name)
    ours, unknown = matching.translate(tensors, checkpoint_format)
    matching.assign(model, ours, unknown, skip_head, f"the weights {entry.full_name}", checkpoint_format)
    set_record(model, Record(entry.preprocessing))
    return model


def stem_channels(model: keras.Model) -> int:
    """The number of channels of the images that a network of this zoo reads."""
    return model.get_layer(STEM_CONV).kernel.shape[2]


def class_count(model: keras.Model) -> int | None:
    """The number of classes of a network of this zoo; None without a top."""
    return next((layer.units for layer in model.layers if layer.name == LOGITS_LAYER), None)


def advice_about_inside(model: keras.Model) -> str:
    """What to do with a model that is not a network of this zoo, but has one inside; "" if it has none."""
    inside = [layer.name for layer in model.layers if isinstance(layer, keras.Model) and Structure.of_model(layer)]
    return f"; its layer {inside[0]} is one: load into model.get_layer({inside[0]!r})" if inside else ""


def check_same_structure(path: str, layers: Sequence[Mapping[str, Any]], ours: Structure, model_name: str) -> None:
    """Raises a `UserError` if a `.keras` file of the zoo describes a network that computes something else with its weights.

    layers: their configurations, which are those in the file.
    """
    theirs = Structure.of(layers)
    for field, (there, here) in ours.differences(dataclasses.asdict(theirs)).items() if theirs else ():
        raise UserError(f"{path} does not fit {model_name}: {field} is {there or 'none'} there, {here or 'none'} here")


def preprocessing_for(model_or_preset: keras.Model | str) -> Preprocessing:
    """How images are prepared: scaling, resize, center crop and its fraction, as a `Preprocessing` record.

    A network keeps the record of the weights that `load_weights` gave it: in `keras.models.clone_model`, in models that share
    its layers, in `model.save` and `load_model`, and in `to_stock` and `to_fast`. Only what Keras itself makes of a network
    in stock layers, a clone or a file, has no record. `save_classifier` writes a file that has one, and needs no package.

    Args:
        model_or_preset: a network with weights of known preprocessing, or the name of a preset, such as "torchvision_v2".
            torchvision's and timm's `resnet*` cannot be told apart by their tensors: the first is assumed unless a Hugging
            Face `config.json` is next to the file.

    Raises:
        UserError: for an unknown preset, or a network without a record.
    """
    if isinstance(model_or_preset, str):
        check_preset(model_or_preset)
        return PREPROCESSING_PRESETS[model_or_preset]
    if not isinstance(model_or_preset, keras.Model):
        raise UserError(f"{model_or_preset!r} is neither a network nor one of the presets {comma_join(PREPROCESSING_PRESETS)}")
    preprocessing = record_on(model_or_preset).preprocessing
    if preprocessing is None:
        raise UserError(
            f"{model_or_preset.name} has no weights of known preprocessing; name one of {comma_join(PREPROCESSING_PRESETS)}"
        )
    return preprocessing
