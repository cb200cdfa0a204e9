"""Weights from files: the zoo's own, and those of other people's networks, exactly."""

import hashlib
import json
import os
import weakref
from pathlib import Path

import keras

from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

from . import matching, pretrained
from .checkpoint_formats import PREPROCESSING_PRESETS, TORCHVISION_V2, detect_format
from .readers import keras_layers, read
from .structure import Structure

_preprocessing = weakref.WeakKeyDictionary()  # of the weights that a network was given


def load_weights(model, path_or_name, skip_head=False):
    """Loads weights into a network of this zoo; the file's content tells where they come from.

    Known are the zoo's own (`.weights.h5`, `.keras`); keras.applications' ResNet and ResNetV2 (`.h5`, `.weights.h5`, `.keras`,
    with or without top); state dicts of torchvision's ResNets, timm's `resnet*` and `resnetv2_*`, and akamaster's CIFAR
    ResNets (`.pth`, `.th`, `.safetensors`; bare, behind `module.`, or in a training program's dictionary, where the network's
    own tensors come before averaged ones). "imagenet" fetches keras.applications' file for the network.

    Keras' `.weights.h5` says nothing of the network but its layers' names: from there, weights of the zoo's own load into a
    network that has the same layers in another order or with other strides. A `.keras` file does not.

    Args:
        model: a network of this zoo; one without a top takes files with and without.
        path_or_name: path of a file, or "imagenet".
        skip_head: leave the classifier `head_dense` as it is. Needed where the number of classes is another.

    Returns:
        The model. `preprocessing_for(model)` is how its pictures are to be prepared.

    Raises:
        UserError: on any mismatch; nothing is loaded then. Its message begins the lists of the tensors that are missing,
            unexpected or mis-shaped, its attributes `missing`, `unexpected` and `misshaped` hold them whole.

    Nothing in the file is ever executed.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"{model!r} is no keras.Model")
    structure = Structure.of([layer.get_config() for layer in model.layers])
    if structure is None:
        raise UserError(f"{model.name} is no network of this zoo: its layers have other names")
    if not isinstance(path_or_name, (str, os.PathLike)):
        raise UserError(f"weights are {path_or_name!r}; they are the path of a file, or 'imagenet'")
    path = os.fspath(path_or_name)
    if path == pretrained.IMAGENET:
        path = pretrained.fetch(model, structure)
    if not os.path.isfile(path):
        raise UserError(f"no weights {path!r}: it is the path of a file, or 'imagenet'")
    tensors = read(path)
    source = detect_format({name.rpartition(".")[0] for name in tensors})
    if source is None:
        raise UserError(f"{path} holds no ResNet that is known here; its tensors are {matching.shown(list(tensors))}")
    matching.check_structure(source, structure, model.name, path)
    check_network(path, structure, model.name)
    ours, unknown = matching.translate(tensors, source)
    preprocessing = preprocessing_of(path, source)
    matching.assign(model, matching.adapt_conventions(model, ours, source), unknown, skip_head, path, source)
    _preprocessing[model] = preprocessing
    return model


def check_network(path, ours, model_name):
    """Raises a `UserError` if a `.keras` file of ours describes a network that computes something else with its weights."""
    theirs = Structure.of(keras_layers(path))
    for field in ("order", "block", "depths", "stride_on", "shortcut") if theirs else ():
        there, here = getattr(theirs, field), getattr(ours, field)
        if there != here:
            raise UserError(f"{path} does not fit {model_name}: {field} is {there or 'none'} there, {here or 'none'} here")


def preprocessing_of(path, source):
    """How pictures are prepared for the weights in the file: as a record in or beside it says, or as its source does."""
    try:
        classifier = ClassifierMetadata.read_from(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if classifier:
        return classifier.preprocessing
    if source.preset == "torchvision_v1":
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest().startswith(TORCHVISION_V2):
                return PREPROCESSING_PRESETS["torchvision_v2"]
    timms = source.preset in ("torchvision_v1", "timm_v2_a1h")
    return (timm_record(path) if timms else None) or PREPROCESSING_PRESETS.get(source.preset)


def timm_record(path):
    """What the `config.json` of timm's weights says, which lies beside them in the Hugging Face cache; None without one."""
    try:
        record = json.loads(Path(path).with_name("config.json").read_text(encoding="utf-8"))["pretrained_cfg"]
        size = record.get("test_input_size") or record["input_size"]
        return Preprocessing(
            height=size[1],
            width=size[2],
            channels=size[0],
            mean=tuple(record["mean"]),
            std=tuple(record["std"]),
            crop_fraction=record.get("test_crop_pct") or record["crop_pct"],
            interpolation=record["interpolation"],
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):  # a UserError is a ValueError
        return None


def preprocessing_for(model_or_preset):
    """How pictures are prepared: scaling, resize, centre crop and its fraction, as a `Preprocessing` record.

    Args:
        model_or_protocol: a network that `load_weights` gave weights with a known preparation (that very object: what is to
            outlive it goes into a file by `save_classifier`), or the name of a protocol, such as "torchvision_v2".
            torchvision's and timm's `resnet*` cannot be told apart by their tensors: the first is assumed unless a Hugging
            Face `config.json` lies beside the file.
    """
    if isinstance(model_or_preset, str):
        if model_or_preset not in PREPROCESSING_PRESETS:
            raise UserError(f"unknown protocol {model_or_preset!r}; the protocols are {comma_join(PREPROCESSING_PRESETS)}")
        return PREPROCESSING_PRESETS[model_or_preset]
    if not isinstance(model_or_preset, keras.Model):
        raise UserError(
            f"{model_or_preset!r} is neither a network nor one of the protocols {comma_join(PREPROCESSING_PRESETS)}"
        )
    record = _preprocessing.get(model_or_preset)
    if record is None:
        raise UserError(
            f"{model_or_preset.name} has no weights of known preparation; name one of {comma_join(PREPROCESSING_PRESETS)}"
        )
    return record
