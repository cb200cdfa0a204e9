"""Layer names, built and parsed here only. They are API: weights are matched by them.

A network's layers are called `stem_conv`, `stage3_unit2_conv1`, `stage3_unit2_shortcut_norm`, `head_dense`: the part of the
network, then the unit, then the operation, numbered by kind within its unit. Both stages and units count from 1.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Self

PARTS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")  # from the images to the classes

STEM_CONV, STEM_NORM, STEM_RELU, STEM_MAX, STEM_POOL = "stem_conv", "stem_norm", "stem_relu", "stem_max", "stem_pool"
HEAD_NORM, HEAD_RELU, HEAD_POOL, HEAD_DROPOUT = "head_norm", "head_relu", "head_pool", "head_dropout"
LOGITS_LAYER = "head_dense"
PREDICTIONS_LAYER = "predictions"  # the classifier's activation, as keras.applications calls it

# What a unit has one of; the rest is numbered, such as "conv1".
ADD, DROP_PATH, SHORTCUT, ANTIALIAS = "add", "drop", "shortcut", "antialias"

_UNIT_LAYER = re.compile(r"stage(?P<stage>\d+)_unit(?P<unit>\d+)_(?P<operation>\w+)")
_BRANCH_OPERATION = re.compile(rf"(conv|norm|relu)\d+|{ADD}")
_CONV = re.compile(rf"stem_conv\d*|stage\d+_unit\d+_(conv\d+|{SHORTCUT}_conv)")
_END_OPERATION = re.compile(rf"relu\d+|{ADD}")


def stem_layer(operation: str, number: int) -> str:
    """Names a layer of the stem, the first of its kind without number: "stem_conv", "stem_conv2"."""
    return f"stem_{operation}{number if number > 1 else ''}"


def stage_name(stage: int) -> str:
    """Names a stage: 3 -> "stage3"."""
    return f"stage{stage}"


def unit_name(stage: int | str, unit: int | str) -> str:
    """Names a unit, the prefix of its layers: (3, 2) -> "stage3_unit2"."""
    return f"stage{stage}_unit{unit}"


def unit_layer(stage: int | str, unit: int | str, operation: str) -> str:
    """Names a layer of a unit: (3, 2, "conv1") -> "stage3_unit2_conv1"."""
    return sublayer(unit_name(stage, unit), operation)


def sublayer(name: str, operation: str) -> str:
    """Names one of the layers that make up a unit, a shortcut or a head: ("head", "norm") -> "head_norm"."""
    return f"{name}_{operation}"


def norm_after(conv: str) -> str:
    """Names the norm that follows a convolution in units of order `original`: "stage1_unit1_conv2" -> "..._norm2"."""
    before, _, last = conv.rpartition("_")
    return sublayer(before, last.replace("conv", "norm"))


def is_norm(name: str) -> bool:
    """Tells whether a layer of this name is a norm."""
    return name.rpartition("_")[2].startswith("norm")


def is_conv(name: str) -> bool:
    """Tells whether a layer of this name is a convolution of the stem, a branch or a projection with a norm."""
    return _CONV.fullmatch(name) is not None


def part_of(name: str) -> str | None:
    """The part of the network, one of `PARTS`, that a layer of this name belongs to; None for the layers around them."""
    part = name.partition("_")[0]
    return part if part in PARTS else None


@dataclasses.dataclass(frozen=True)
class UnitLayer:
    """A parsed name: the layer does `operation`, such as "conv1" or "shortcut_pad", in a unit of a stage."""

    stage: int
    unit: int
    operation: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Parses a layer's name, or returns None if the layer is not inside a unit."""
        match = _UNIT_LAYER.fullmatch(name)
        return cls(int(match["stage"]), int(match["unit"]), match["operation"]) if match else None

    @property
    def on_branch(self) -> bool:
        """Whether this is one of the operations that define the order of a unit, the addition included."""
        return _BRANCH_OPERATION.fullmatch(self.operation) is not None

    @property
    def ends_unit(self) -> bool:
        """Whether this may be the last operation of a unit, whose output is the next unit's skip path."""
        return _END_OPERATION.fullmatch(self.operation) is not None

    @property
    def shortcut_operation(self) -> str | None:
        """What the layer does on the shortcut: "conv", "pad", ..., "" for a bare projection, None if it is not on it."""
        if not self.operation.startswith(SHORTCUT):
            return None
        return self.operation.removeprefix(SHORTCUT).removeprefix("_")


def units_per_stage(layers: Iterable[UnitLayer | None]) -> dict[int, int]:
    """The number of units of each stage, `{stage: units}`, in the order of the stages."""
    units: dict[int, int] = {}
    for layer in layers:
        if layer:
            units[layer.stage] = max(layer.unit, units.get(layer.stage, 0))
    return dict(sorted(units.items()))
