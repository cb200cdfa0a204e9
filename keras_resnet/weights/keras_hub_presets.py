"""Reads a folder that KerasHub's `save_to_preset` wrote: the network, the classifier, and how images are prepared."""

import math
import os
from typing import Any

import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.preprocessing import Preprocessing, mean_and_std
from keras_resnet.records import read_json

from .hdf5_layers import read_h5
from .stored_tensors import SizeLimits

CONFIG, PREPROCESSOR = "config.json", "preprocessor.json"
BACKBONE_WEIGHTS, TASK_WEIGHTS = "model.weights.h5", "task.weights.h5"
HEAD = "predictions."  # the only layer with weights of a classifier beside its backbone
BACKBONE = "ResNetBackbone"


def is_preset(path: str) -> bool:
    """Whether a path is a folder with the two files that every preset has."""
    return all(os.path.isfile(os.path.join(path, name)) for name in (CONFIG, BACKBONE_WEIGHTS))


def read_preset(path: str, limits: SizeLimits) -> dict[str, np.ndarray]:
    """Reads the tensors of a preset, those of its classifier too if it has one.

    Raises:
        UserError: if it is of something else than a ResNet, or of one that this zoo does not have.
    """
    check_backbone(path, backbone_config(path))
    tensors = {}
    for name in (BACKBONE_WEIGHTS, TASK_WEIGHTS):
        file = os.path.join(path, name)
        if os.path.isfile(file):
            limits.check_file(file)
            found = read_h5(file, file, limits)
            tensors |= found if name == BACKBONE_WEIGHTS else {key: found[key] for key in found if key.startswith(HEAD)}
    return tensors


def backbone_config(path: str) -> dict[str, Any]:
    """What the `config.json` of a preset says about the network, or a `UserError` if it is of something else."""
    file = os.path.join(path, CONFIG)
    config = read_json(file)
    if not isinstance(config, dict) or config.get("class_name") != BACKBONE or not isinstance(config.get("config"), dict):
        kind = config.get("class_name", "nothing that KerasHub wrote") if isinstance(config, dict) else "a list"
        raise UserError(f"{file} describes {str(kind)[:60]!r}; of KerasHub's presets those of its {BACKBONE} are read")
    return config["config"]


def check_backbone(path: str, config: dict[str, Any]) -> None:
    """Raises a `UserError` for a network that computes something else than the names of its tensors say."""
    deep = config.get("input_conv_kernel_sizes") != [7]
    expected = {
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_strides": [1, 2, 2, 2],
        "input_conv_kernel_sizes": [3, 3, 3] if deep else [7],
        "block_type": [f"{block}_block{'_vd' if deep else ''}" for block in ("basic", "bottleneck")],
    }
    for name, value in expected.items():
        found = config.get(name)
        if found != value and not (name == "block_type" and found in value):
            raise UserError(f"{path} has a ResNet with {name} {str(found)[:60]}; networks of this zoo have {value}")


def preset_preprocessing(path: str) -> Preprocessing | None:
    """How images are prepared by what the preset says; None if it says nothing.

    KerasHub crops to the shape of the network's images, resizes, and computes `scale * x + offset`.

    Raises:
        UserError: if what it says is wrong.
    """
    file = os.path.join(path, PREPROCESSOR)
    if not os.path.isfile(file):
        return None
    record = read_json(file)
    try:
        converter = record["config"]["image_converter"]["config"]
        height, width = converter["image_size"]
        scale, offset = (
            np.broadcast_to(np.asarray(default if value is None else value, float), 3)
            for value, default in ((converter["scale"], 1), (converter["offset"], 0))
        )
        if not np.all(np.isfinite(scale)) or not np.all(scale > 0) or not math.isfinite(offset.sum()):
            raise ValueError("scale and offset are not numbers")
        return Preprocessing(height, width, 3, *mean_and_std(scale, offset, 3), interpolation=converter["interpolation"])
    except (KeyError, TypeError, ValueError) as error:  # a UserError is a ValueError
        raise UserError(f"{file} is wrong: {error}; correct or remove it") from error
