"""What each residual unit of a network is built with, and which consecutive ones are alike."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

from . import naming, variants
from .options import ModelOptions
from .stems import STEMS
from .variants import Variant


@dataclasses.dataclass(frozen=True)
class UnitSpec:
    """One unit. stage, index: its place, both from 1. The rest are arguments of `ResidualUnit.__call__`."""

    stage: int
    index: int
    width: int
    stride: int
    dilations: tuple[int, int]
    drop_rate: float
    skip_preactivation: bool

    @property
    def name(self) -> str:
        return naming.unit_name(self.stage, self.index)

    def arguments(self) -> dict[str, Any]:
        """Those of `ResidualUnit.__call__`."""
        names = ("width", "stride", "dilations", "drop_rate", "skip_preactivation", "name")
        return {name: getattr(self, name) for name in names}

    def kind(self) -> tuple[Any, ...]:
        """The same for units that differ in their weights and in their `drop_rate` only."""
        return self.stage, self.index == 1, self.width, self.stride, self.dilations


UnitRun = tuple[UnitSpec, ...]  # consecutive units of one kind, such as the second to the last of a stage


def unit_runs(variant: Variant, options: ModelOptions) -> list[UnitRun]:
    """All units of a network, in order: the first of each stage for itself, and the others together."""
    return [tuple(units) for _, units in itertools.groupby(unit_specs(variant, options), UnitSpec.kind)]


def unit_specs(variant: Variant, options: ModelOptions) -> Iterator[UnitSpec]:
    """Each unit in turn.

    Where a stride would go beyond `output_stride`, it is left out, and what reads its output is dilated by it.
    """
    stem, depths = STEMS[variant.stem], variants.stage_depths(variant)
    limit = options.output_stride or output_strides(variant)[-1]
    total_stride, dilation, number = stem.stem_stride, 1, 0
    for stage, (width, depth) in enumerate(zip(stage_widths(variant, options), depths, strict=True), start=1):
        for index in range(1, depth + 1):
            strided = (index == depth and stage < len(depths)) if stem.downsample_in_last_unit else (index == 1 and stage > 1)
            dilate = strided and total_stride == limit
            stride = 2 if strided and not dilate else 1
            dilation_after = dilation * 2 if dilate else dilation
            number += 1
            yield UnitSpec(
                stage,
                index,
                width,
                stride,
                dilations=(dilation, dilation_after),
                drop_rate=options.stochastic_depth * number / sum(depths),
                skip_preactivation=stem.ends_in_activation and number == 1,
            )
            total_stride *= stride
            dilation = dilation_after


def stage_widths(variant: Variant, options: ModelOptions) -> list[int]:
    """The width of each stage's units."""
    factor = variant.widen_factor * options.width_multiplier
    return [max(1, round(width * factor)) for width in variants.FAMILIES[variant.family].widths]


def output_strides(variant: Variant) -> tuple[int, ...]:
    """The strides that the last feature map can have, the network's own last. An ImageNet network keeps one in its stages."""
    stages, stem = len(variants.FAMILIES[variant.family].widths), STEMS[variant.stem].stem_stride
    return tuple(stem * 2**stage for stage in range(stages) if stem * 2**stage > stem or stem == 1)
