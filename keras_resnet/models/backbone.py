"""A network's feature maps, for detection and segmentation."""

import dataclasses
import re

import keras

from keras_resnet.errors import UserError, comma_join

from .graph import strides
from .layers import channels


@dataclasses.dataclass(frozen=True)
class Backbone:
    """model: from images to `{"stage1": feature map, ...}`. strides: image pixels per pixel of each. widths: their channels."""

    model: keras.Model
    strides: dict
    channels: dict


def backbone(model, stages=None):
    """The stages' outputs of a network of this zoo, with its weights: `Backbone`.

    A stage's feature is what the next layers read: in networks of order `original` and the like, the output of its last unit.
    In a pre-activation network that is the activation that follows the trunk: the last of the stage's resolution, which the
    unit with the next stride shares with its projection (He et al. 2016, section 5), and the head's for the last stage.

    Args:
        model: a network of this zoo, with or without top, of any options; `output_stride` shows in the strides.
        stages: numbers of the stages wanted, from 1; by default all.

    Raises:
        UserError: for a model that is none of ours and for a stage that it has not.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"{model!r} is no keras.Model")
    units = [re.match(r"stage(\d+)_unit(\d+)_", layer.name) for layer in model.layers]
    last = {int(unit[1]): max(int(u[2]) for u in units if u and u[1] == unit[1]) for unit in units if unit}
    if not last:
        raise UserError(f"{model.name} is no network of this zoo: its layers have other names")
    wanted = last if stages is None else stages
    if not isinstance(wanted, (tuple, list, dict)) or not wanted or not all(stage in last for stage in wanted):
        raise UserError(f"stages are {stages!r}; those of {model.name} are {comma_join(last)}, some or all in a tuple")
    layers = {f"stage{stage}": feature_layer(model, stage, last) for stage in wanted}
    outputs = {name: layer.output for name, layer in layers.items()}
    total = strides(model)
    return Backbone(
        keras.Model(model.input, outputs, name=f"{model.name}_backbone"),
        {name: total[layer.name] for name, layer in layers.items()},
        {name: channels(output) for name, output in outputs.items()},
    )


def feature_layer(model, stage, last):
    """The layer whose output is the stage's feature."""
    layers = {layer.name: layer for layer in model.layers}
    if "head_relu" not in layers:
        return [layer for layer in model.layers if re.fullmatch(rf"stage{stage}_unit{last[stage]}_(add|relu\d)", layer.name)][
            -1
        ]
    if stage == max(last):
        return layers["head_relu"]
    slim = f"stage{stage}_unit{last[stage]}_relu1"
    if "stem_norm" not in layers and layers["stem_conv"].use_bias:  # the stride lies in the stage's own last unit
        return layers[slim]
    return layers[f"stage{stage + 1}_unit1_relu1"]
