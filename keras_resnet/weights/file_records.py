"""What a weight file says about its weights, in it or next to it: how images are prepared for them, and whose they are."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_resnet.errors import UserError
from keras_resnet.files import sha256_of
from keras_resnet.hub.repository import CONFIG, Repository
from keras_resnet.hub.timm_config import timm_preprocessing
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing, mean_and_std
from keras_resnet.recorded import Record, record_from_json

from .checkpoint_formats import PREPROCESSING_PRESETS, TORCHVISION_V2, CheckpointFormat
from .claims import read_config
from .keras_hub_presets import preset_preprocessing
from .readers import keras_layers

Layers = Sequence[Mapping[str, Any]]  # their configurations


def record_of(
    path: str, repository: Repository | None, checkpoint_format: CheckpointFormat, layers: Layers, place: str
) -> Record:
    """What a repository says about its weights, or else a record in their file or next to it, or the format's preset.

    Args:
        path: of the file.
        repository: that it is from, if it is from one.
        checkpoint_format: of the file.
        layers: of the network in it, as `readers.keras_layers` returns them.
        place: where the network lies in the file, see `inner_network.find_network`.

    Raises:
        UserError: if what is said is wrong.
    """
    if repository is None:
        return record_in(path, checkpoint_format, layers, place)
    preprocessing = repository.config.preprocessing if repository.config else None
    return Record(preprocessing or record_in(path, checkpoint_format, layers, place).preprocessing, repository.origin)


def record_in(path: str, checkpoint_format: CheckpointFormat, layers: Layers, place: str) -> Record:
    """The same of a file that is from no repository.

    Where a `.keras` file has one `Rescaling` in front of a network that lies in `place`, its scale and offset take the place of
    the preset's.
    """
    preset = PREPROCESSING_PRESETS.get(checkpoint_format.preset)
    if not os.path.isfile(path):
        return Record(preset_preprocessing(path) or preset)
    if classifier := ClassifierMetadata.read_from(path):
        return Record(classifier.preprocessing, classifier.origin)
    text = next(filter(None, (layer.get("preprocessing") for layer in layers)), None)
    if text is not None:
        try:
            return record_from_json(text)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    if scaled := rescaled(preset, keras_layers(path) if place else layers):
        return Record(scaled)
    if checkpoint_format.preset == "torchvision_v1" and sha256_of(path).startswith(TORCHVISION_V2):
        return Record(PREPROCESSING_PRESETS["torchvision_v2"])
    may_be_timm = checkpoint_format.preset in ("torchvision_v1", "timm_v2_a1h", "bit")
    return Record((timm_record(path) if may_be_timm else None) or preset)


def rescaled(preset: Preprocessing | None, layers: Sequence[Mapping[str, Any]]) -> Preprocessing | None:
    """The preset, or images of the input's size, with the scaling of the only `Rescaling` among the layers' configurations.

    None if there is not just one, or neither a preset nor a size.
    """
    scalings = [(layer["scale"], layer["offset"]) for layer in layers if "scale" in layer and "offset" in layer]
    if len(scalings) != 1 or not all(isinstance(value, (int, float, list)) for value in scalings[0]):
        return None
    try:
        if preset is None:
            _, *size = next(layer["batch_shape"] for layer in layers if "batch_shape" in layer)
            preset = Preprocessing(*size, mean=(0.0,) * size[-1], std=(1.0,) * size[-1])
        mean, std = mean_and_std(*scalings[0], preset.channels)
        return dataclasses.replace(preset, mean=mean, std=std, channel_order="rgb")
    except (ValueError, TypeError, ZeroDivisionError, StopIteration, IndexError):  # a UserError is a ValueError
        return None


def timm_record(path: str | os.PathLike[str]) -> Preprocessing | None:
    """What the `config.json` of timm's weights says, which is next to them in the Hugging Face cache.

    Returns:
        None without such a file, or if it is of something else.

    Raises:
        UserError: if it is timm's, and wrong.
    """
    record = read_config(path).get("pretrained_cfg")
    try:
        return timm_preprocessing(record) if isinstance(record, Mapping) else None
    except UserError as error:
        raise UserError(
            f"{Path(path).with_name(CONFIG)}, which is next to the weights, is wrong: {error}; correct or remove it"
        ) from error
