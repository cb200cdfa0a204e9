"""Cuts a network into feature maps, for detection and segmentation."""

import dataclasses
from collections.abc import Collection
from typing import Any

import keras

from keras_resnet.errors import UserError, comma_join
from keras_resnet.graph import strides

from . import naming
from .layers import channels
from .naming import UnitLayer


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network without its head.

    Attributes:
        model: maps images to `{"stage1": feature map, ...}`.
        strides: image pixels per pixel of each feature map.
        channels: the number of channels of each feature map.
    """

    model: keras.Model
    strides: dict[str, int]
    channels: dict[str, int]


def backbone(model: keras.Model, stages: Collection[int] | None = None) -> Backbone:
    """Makes a `Backbone` that outputs the stages' feature maps and shares the network's weights.

    A stage's feature map is what the next layers read: in networks of order `original` and the like, the output of its last
    unit. In a pre-activation network it is the activation after the skip path: the last one at the stage's resolution, which
    the unit with the next stride shares with its projection (He et al. 2016, section 5), and the head's for the last stage.

    Args:
        model: a network of this zoo, with or without top, with any options; `output_stride` shows in the strides.
        stages: numbers of the stages, from 1; all by default.

    Raises:
        UserError: if the model is not a network of this zoo, or has no such stage.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"{model!r} is not a keras.Model")
    units = naming.units_per_stage(UnitLayer.parse(layer.name) for layer in model.layers)
    if not units:
        raise UserError(f"{model.name} is not a network of this zoo: its layers have other names")
    wanted = list(units) if stages is None else stages
    if not isinstance(wanted, (tuple, list, dict)) or not wanted or not all(stage in units for stage in wanted):
        raise UserError(f"stages are {stages!r}; those of {model.name} are {comma_join(units)}, some or all in a tuple")
    layers = {naming.stage_name(stage): feature_layer(model, stage, units) for stage in wanted}
    outputs: dict[str, Any] = {name: layer.output for name, layer in layers.items()}
    total = strides(model)
    return Backbone(
        keras.Model(model.input, outputs, name=f"{model.name}_backbone"),
        {name: total[layer.name] for name, layer in layers.items()},
        {name: channels(output) for name, output in outputs.items()},
    )


def feature_layer(model: keras.Model, stage: int, units: dict[int, int]) -> keras.Layer:
    """The layer whose output is the stage's feature map, in a network of `{stage: units}`."""
    layers = {layer.name: layer for layer in model.layers}
    last = units[stage]
    if naming.HEAD_RELU not in layers:
        parsed = {name: UnitLayer.parse(name) for name in layers}
        ends = [name for name, unit in parsed.items() if unit and (unit.stage, unit.unit) == (stage, last) and unit.ends_unit]
        return layers[ends[-1]]
    if stage == max(units):
        return layers[naming.HEAD_RELU]
    if naming.STEM_NORM not in layers and layers[naming.STEM_CONV].use_bias:  # slim: the stage's own last unit has the stride
        return layers[naming.unit_layer(stage, last, "relu1")]
    return layers[naming.unit_layer(stage + 1, 1, "relu1")]
