"""THE table: one row per named network, and the rules for what fits together."""

import dataclasses
import difflib
import functools
import re
from collections.abc import Callable
from typing import Any

from keras_resnet.errors import UserError, comma_join

from .orders import BLOCKS, ORDERS

# Rows of `stems.STEMS`, which needs Keras.
STEM_NAMES = (
    "cifar", "imagenet", "deep", "tiered", "wide", "rs", "slim_v1", "garden", "garden_2019",
    "slim", "slim_v2", "timm", "timm_deep", "timm_tiered", "bit",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of the table.

    Attributes:
        family: a row of `FAMILIES`.
        depth: number of layers, as the paper counts them.
        block: "basic" or "bottleneck".
        unit: the order inside the unit, a row of `orders.ORDERS`.
        shortcut: see `shortcuts.get_shortcut`.
        stride_on: the convolution of a bottleneck that carries the stride, "1x1" or "3x3".
        widen_factor: factor on the stages' widths.
        stem: a row of `stems.STEMS`; by default the one that the papers have for the family.
        groups, group_width: of the 3x3 convolution of a bottleneck: how many groups, and how wide each is where the stage has
            64; "32x4d" of ResNeXt (Xie et al. 2017, arXiv:1611.05431), 1 and 64 of the papers, 1 and 128 of Wide ResNet-50-2.
        units: units per stage, where the depth does not tell them.
        projection: "1x1" or "avg_pool", see `residual_units.ResidualUnit`.
        antialias: a row of `antialiasing.ANTIALIASING`.
        attention: see `attention.get_attention`.
        normalization: a row of `normalizations.NORMALIZATIONS`.
        padding: of the units' convolutions with a stride: "symmetric", or "same" as TensorFlow understands it.
    """

    family: str
    depth: int
    block: str
    unit: str
    shortcut: str
    stride_on: str = "1x1"
    widen_factor: int = 1
    stem: str = ""
    groups: int = 1
    group_width: int = 64
    units: tuple[int, ...] = ()
    projection: str = "1x1"
    antialias: str = "none"
    attention: str = "none"
    normalization: str = "batch"
    padding: str = "symmetric"

    def __post_init__(self) -> None:
        if not self.stem:
            object.__setattr__(self, "stem", FAMILIES[self.family].stem)

    @property
    def besides(self) -> tuple[str, ...]:
        """What else it has that the papers' networks do not have, in words: "attention se", "32 groups of 4"."""
        columns = ("projection", "antialias", "attention", "normalization", "padding")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        words = [f"{name} {value}" for name in columns if (value := getattr(self, name)) != defaults[name]]
        groups = [f"{self.groups} groups of {self.group_width}"] if self.groups > 1 else []
        wider = [f"3x3 of width {self.group_width}"] if self.groups == 1 and self.group_width != 64 else []
        return (*words, *groups, *wider)


@dataclasses.dataclass(frozen=True)
class Family:
    """What the networks for one kind of image have in common: stem, stages' widths, default image size and classes."""

    stem: str
    widths: tuple[int, ...]
    image_size: int
    classes: int


FAMILIES = {
    "cifar": Family("cifar", (16, 32, 64), image_size=32, classes=10),
    "wide": Family("cifar", (16, 32, 64), image_size=32, classes=10),
    "imagenet": Family("imagenet", (64, 128, 256, 512), image_size=224, classes=1000),
}


# What rows have in common: timm's resnet.py and torchvision, timm's resnetv2.py, and the columns that a letter in a name means.
V15: Callable[..., Variant] = functools.partial(Variant, "imagenet", unit="original", shortcut="B", stride_on="3x3")
V2: Callable[..., Variant] = functools.partial(Variant, "imagenet", unit="full_preactivation", shortcut="B", stride_on="3x3")
Columns = dict[str, Any]
D, T, E, V2D, RS = (Columns(stem=stem, projection="avg_pool") for stem in ("deep", "tiered", "wide", "timm_deep", "rs"))
S, BIT = Columns(stem="wide"), Columns(stem="bit", normalization="group_standardized")
SE, ECA = Columns(attention="se"), Columns(attention="eca")
X32X4, X32X8, X64X4 = (Columns(groups=groups, group_width=width) for groups, width in ((32, 4), (32, 8), (64, 4)))

# fmt: off
VARIANTS = {
    # He et al. 2015, section 4.2: 6n+2 layers, widths 16, 32, 64. 164 and 1001 in v1: He et al. 2016, Table 3.
    "ResNet20V1":       Variant("cifar", 20, "basic", "original", "A"),
    "ResNet32V1":       Variant("cifar", 32, "basic", "original", "A"),
    "ResNet44V1":       Variant("cifar", 44, "basic", "original", "A"),
    "ResNet56V1":       Variant("cifar", 56, "basic", "original", "A"),
    "ResNet110V1":      Variant("cifar", 110, "basic", "original", "A"),
    "ResNet164V1":      Variant("cifar", 164, "bottleneck", "original", "B"),
    "ResNet1001V1":     Variant("cifar", 1001, "bottleneck", "original", "B"),
    "ResNet1202V1":     Variant("cifar", 1202, "basic", "original", "A"),
    # He et al. 2016, Tables 2 and 3: 110 (6n+2), 164 and 1001 (9n+2). 20 to 56 and 1202 are in neither paper and follow 110.
    "ResNet20V2":       Variant("cifar", 20, "basic", "full_preactivation", "A"),
    "ResNet32V2":       Variant("cifar", 32, "basic", "full_preactivation", "A"),
    "ResNet44V2":       Variant("cifar", 44, "basic", "full_preactivation", "A"),
    "ResNet56V2":       Variant("cifar", 56, "basic", "full_preactivation", "A"),
    "ResNet110V2":      Variant("cifar", 110, "basic", "full_preactivation", "A"),
    "ResNet164V2":      Variant("cifar", 164, "bottleneck", "full_preactivation", "B"),
    "ResNet1001V2":     Variant("cifar", 1001, "bottleneck", "full_preactivation", "B"),
    "ResNet1202V2":     Variant("cifar", 1202, "basic", "full_preactivation", "A"),
    # He et al. 2015, section 4.2, "plain".
    "PlainNet20":       Variant("cifar", 20, "basic", "original", "none"),
    "PlainNet32":       Variant("cifar", 32, "basic", "original", "none"),
    "PlainNet44":       Variant("cifar", 44, "basic", "original", "none"),
    "PlainNet56":       Variant("cifar", 56, "basic", "original", "none"),
    "PlainNet110":      Variant("cifar", 110, "basic", "original", "none"),
    # Zagoruyko & Komodakis 2016, arXiv:1605.07146, Table 1: 6n+4 layers, for they count the projections.
    "WideResNet16_8":   Variant("wide", 16, "basic", "full_preactivation", "B", widen_factor=8),
    "WideResNet28_10":  Variant("wide", 28, "basic", "full_preactivation", "B", widen_factor=10),
    "WideResNet40_4":   Variant("wide", 40, "basic", "full_preactivation", "B", widen_factor=4),
    # He et al. 2015, Table 1; 200: He et al. 2016, Table 5.
    "ResNet18V1":       Variant("imagenet", 18, "basic", "original", "B"),
    "ResNet34V1":       Variant("imagenet", 34, "basic", "original", "B"),
    "ResNet50V1":       Variant("imagenet", 50, "bottleneck", "original", "B"),
    "ResNet101V1":      Variant("imagenet", 101, "bottleneck", "original", "B"),
    "ResNet152V1":      Variant("imagenet", 152, "bottleneck", "original", "B"),
    "ResNet200V1":      Variant("imagenet", 200, "bottleneck", "original", "B"),
    # The stride on the 3x3, as in fb.resnet.torch and torchvision.
    "ResNet50V1_5":     Variant("imagenet", 50, "bottleneck", "original", "B", stride_on="3x3"),
    "ResNet101V1_5":    Variant("imagenet", 101, "bottleneck", "original", "B", stride_on="3x3"),
    "ResNet152V1_5":    Variant("imagenet", 152, "bottleneck", "original", "B", stride_on="3x3"),
    "ResNet200V1_5":    Variant("imagenet", 200, "bottleneck", "original", "B", stride_on="3x3"),
    # He et al. 2016, Table 5 (152 and 200) and its released code; the others follow them.
    "ResNet18V2":       Variant("imagenet", 18, "basic", "full_preactivation", "B"),
    "ResNet34V2":       Variant("imagenet", 34, "basic", "full_preactivation", "B"),
    "ResNet50V2":       Variant("imagenet", 50, "bottleneck", "full_preactivation", "B", stride_on="3x3"),
    "ResNet101V2":      Variant("imagenet", 101, "bottleneck", "full_preactivation", "B", stride_on="3x3"),
    "ResNet152V2":      Variant("imagenet", 152, "bottleneck", "full_preactivation", "B", stride_on="3x3"),
    "ResNet200V2":      Variant("imagenet", 200, "bottleneck", "full_preactivation", "B", stride_on="3x3"),
    # The network of TF-Slim's v2, which keras.applications and its weights have: raw stem, strides in the stages' last units.
    "ResNet50V2Slim":   Variant("imagenet", 50, "bottleneck", "full_preactivation", "B", stride_on="3x3", stem="slim"),
    "ResNet101V2Slim":  Variant("imagenet", 101, "bottleneck", "full_preactivation", "B", stride_on="3x3", stem="slim"),
    "ResNet152V2Slim":  Variant("imagenet", 152, "bottleneck", "full_preactivation", "B", stride_on="3x3", stem="slim"),
    # The networks of timm's resnetv2_* (after BiT) and of KerasHub: raw stem, strides as in the paper.
    "ResNet50V2Timm":   Variant("imagenet", 50, "bottleneck", "full_preactivation", "B", stride_on="3x3", stem="timm"),
    "ResNet101V2Timm":  Variant("imagenet", 101, "bottleneck", "full_preactivation", "B", stride_on="3x3", stem="timm"),
    "ResNet152V2Timm":  Variant("imagenet", 152, "bottleneck", "full_preactivation", "B", stride_on="3x3", stem="timm"),
    # He et al. 2015, Figure 3, middle.
    "PlainNet18":       Variant("imagenet", 18, "basic", "original", "none"),
    "PlainNet34":       Variant("imagenet", 34, "basic", "original", "none"),
    # He et al. 2019, arXiv:1812.01187, Figure 2: C and D. timm: T (a tiered stem), S (a wide one) and small ones.
    "ResNet10T":                V15(10, "basic", **T),
    "ResNet14T":                V15(14, "bottleneck", **T),
    "ResNet18D":                V15(18, "basic", **D),
    "ResNet26":                 V15(26, "bottleneck"),
    "ResNet26D":                V15(26, "bottleneck", **D),
    "ResNet26T":                V15(26, "bottleneck", **T),
    "ResNet34D":                V15(34, "basic", **D),
    "ResNet50C":                V15(50, "bottleneck", stem="deep"),
    "ResNet50D":                V15(50, "bottleneck", **D),
    "ResNet50S":                V15(50, "bottleneck", **S),
    "ResNet50T":                V15(50, "bottleneck", **T),
    "ResNet101C":               V15(101, "bottleneck", stem="deep"),
    "ResNet101D":               V15(101, "bottleneck", **D),
    "ResNet101S":               V15(101, "bottleneck", **S),
    "ResNet152C":               V15(152, "bottleneck", stem="deep"),
    "ResNet152D":               V15(152, "bottleneck", **D),
    "ResNet152S":               V15(152, "bottleneck", **S),
    "ResNet200D":               V15(200, "bottleneck", **D),
    # Wu & He 2018, arXiv:1803.08494.
    "ResNet50GN":               V15(50, "bottleneck", normalization="group"),
    # Zagoruyko & Komodakis 2016, arXiv:1605.07146, Table 8: the 3x3 twice as wide.
    "WideResNet50_2":           V15(50, "bottleneck", group_width=128),
    "WideResNet101_2":          V15(101, "bottleneck", group_width=128),
    # Xie et al. 2017, arXiv:1611.05431, Table 1; 32x8d to 32x32d: Mahajan et al. 2018, arXiv:1805.00932; 64x4d: Table 4.
    "ResNeXt50_32x4d":          V15(50, "bottleneck", **X32X4),
    "ResNeXt50D_32x4d":         V15(50, "bottleneck", **D, **X32X4),
    "ResNeXt101_32x4d":         V15(101, "bottleneck", **X32X4),
    "ResNeXt101_32x8d":         V15(101, "bottleneck", **X32X8),
    "ResNeXt101_32x16d":        V15(101, "bottleneck", groups=32, group_width=16),
    "ResNeXt101_32x32d":        V15(101, "bottleneck", groups=32, group_width=32),
    "ResNeXt101_64x4d":         V15(101, "bottleneck", **X64X4),
    # Hu et al. 2018, arXiv:1709.01507, and timm's combinations with the above.
    "SEResNet18":               V15(18, "basic", **SE),
    "SEResNet34":               V15(34, "basic", **SE),
    "SEResNet50":               V15(50, "bottleneck", **SE),
    "SEResNet50T":              V15(50, "bottleneck", **T, **SE),
    "SEResNet101":              V15(101, "bottleneck", **SE),
    "SEResNet152":              V15(152, "bottleneck", **SE),
    "SEResNet152D":             V15(152, "bottleneck", **D, **SE),
    "SEResNet200D":             V15(200, "bottleneck", **D, **SE),
    "SEResNet269D":             V15(269, "bottleneck", **D, **SE),
    "SEResNeXt26D_32x4d":       V15(26, "bottleneck", **D, **X32X4, **SE),
    "SEResNeXt26T_32x4d":       V15(26, "bottleneck", **T, **X32X4, **SE),
    "SEResNeXt50_32x4d":        V15(50, "bottleneck", **X32X4, **SE),
    "SEResNeXt101_32x4d":       V15(101, "bottleneck", **X32X4, **SE),
    "SEResNeXt101_32x8d":       V15(101, "bottleneck", **X32X8, **SE),
    "SEResNeXt101D_32x8d":      V15(101, "bottleneck", **D, **X32X8, **SE),
    "SEResNeXt101_64x4d":       V15(101, "bottleneck", **X64X4, **SE),
    # Wang et al. 2020, arXiv:1910.03151, and timm's combinations; the light one: Aflalo et al. 2020, arXiv:2002.08258.
    "ECAResNet26T":             V15(26, "bottleneck", **T, **ECA),
    "ECAResNet50D":             V15(50, "bottleneck", **D, **ECA),
    "ECAResNet50T":             V15(50, "bottleneck", **T, **ECA),
    "ECAResNet101D":            V15(101, "bottleneck", **D, **ECA),
    "ECAResNet200D":            V15(200, "bottleneck", **D, **ECA),
    "ECAResNet269D":            V15(269, "bottleneck", **D, **ECA),
    "ECAResNetLight":           V15(50, "bottleneck", **ECA, units=(1, 1, 11, 3), projection="avg_pool"),
    "ECAResNeXt26T_32x4d":      V15(26, "bottleneck", **T, **X32X4, **ECA),
    "ECAResNeXt50T_32x4d":      V15(50, "bottleneck", **T, **X32X4, **ECA),
    # Zhang 2019, arXiv:1904.11486 (blur), and timm's means in place of strides (AA).
    "ResNetBlur18":             V15(18, "basic", antialias="blur"),
    "ResNetBlur50":             V15(50, "bottleneck", antialias="blur"),
    "ResNetBlur50D":            V15(50, "bottleneck", **D, antialias="blur"),
    "ResNetBlur101D":           V15(101, "bottleneck", **D, antialias="blur"),
    "ResNetAA34D":              V15(34, "basic", **D, antialias="avg"),
    "ResNetAA50":               V15(50, "bottleneck", antialias="avg"),
    "ResNetAA50D":              V15(50, "bottleneck", **D, antialias="avg"),
    "ResNetAA101D":             V15(101, "bottleneck", **D, antialias="avg"),
    "SEResNetAA50D":            V15(50, "bottleneck", **D, **SE, antialias="avg"),
    "SEResNeXtAA101D_32x8d":    V15(101, "bottleneck", **D, **X32X8, **SE, antialias="avg"),
    "SEResNeXtAA201D_32x8d":    V15(203, "bottleneck", **E, **X32X8, **SE, antialias="avg", units=(3, 24, 36, 4)),
    # Bello et al. 2021, arXiv:2103.07579, Table 9 (units) and section 4; the names are the paper's, not the layers.
    "ResNetRS50":               V15(50, "bottleneck", **RS, attention="se(0.25)"),
    "ResNetRS101":              V15(101, "bottleneck", **RS, attention="se(0.25)"),
    "ResNetRS152":              V15(152, "bottleneck", **RS, attention="se(0.25)"),
    "ResNetRS200":              V15(200, "bottleneck", **RS, attention="se(0.25)"),
    "ResNetRS270":              V15(272, "bottleneck", **RS, attention="se(0.25)", units=(4, 29, 53, 4)),
    "ResNetRS350":              V15(350, "bottleneck", **RS, attention="se(0.25)", units=(4, 36, 72, 4)),
    "ResNetRS420":              V15(419, "bottleneck", **RS, attention="se(0.25)", units=(4, 44, 87, 4)),
    # timm's resnetv2_* of basic units, with a deep stem and means before projections (D), and with group norms.
    "ResNet18V2Timm":           V2(18, "basic", stem="timm"),
    "ResNet18DV2Timm":          V2(18, "basic", **V2D),
    "ResNet34V2Timm":           V2(34, "basic", stem="timm"),
    "ResNet34DV2Timm":          V2(34, "basic", **V2D),
    "ResNet50DV2Timm":          V2(50, "bottleneck", **V2D),
    "ResNet50TV2Timm":          V2(50, "bottleneck", stem="timm_tiered", projection="avg_pool"),
    "ResNet101DV2Timm":         V2(101, "bottleneck", **V2D),
    "ResNet152DV2Timm":         V2(152, "bottleneck", **V2D),
    "ResNet50DGNV2Timm":        V2(50, "bottleneck", **V2D, normalization="group"),
    # TensorFlow's own: TF-Slim's resnet_v1.py and resnet_v2.py, and the Model Garden's ResNet. They are padded otherwise.
    "ResNet50V1TFSlim":         V15(50, "bottleneck", stem="slim_v1"),
    "ResNet101V1TFSlim":        V15(101, "bottleneck", stem="slim_v1"),
    "ResNet152V1TFSlim":        V15(152, "bottleneck", stem="slim_v1"),
    "ResNet50V2TFSlim":         V2(50, "bottleneck", stem="slim_v2"),
    "ResNet101V2TFSlim":        V2(101, "bottleneck", stem="slim_v2"),
    "ResNet152V2TFSlim":        V2(152, "bottleneck", stem="slim_v2"),
    "ResNet50Garden":           V15(50, "bottleneck", stem="garden", padding="same"),
    "ResNet101Garden":          V15(101, "bottleneck", stem="garden", padding="same"),
    "ResNet152Garden":          V15(152, "bottleneck", stem="garden", padding="same"),
    "ResNet50Garden2019":       V15(50, "bottleneck", stem="garden_2019", padding="same"),
    # PaddlePaddle's ResNet_vd of basic units, which KerasHub has: a projection begins every stage.
    "ResNet18VD":               V15(18, "basic", **D, shortcut="vd"),
    "ResNet34VD":               V15(34, "basic", **D, shortcut="vd"),
    "ResNet200VD":              V15(200, "bottleneck", **D, units=(3, 12, 48, 3)),
    # Kolesnikov et al. 2020 (BiT), arXiv:1912.11370, section 4.
    "BiTR50x1":                 V2(50, "bottleneck", **BIT),
    "BiTR50x3":                 V2(50, "bottleneck", **BIT, widen_factor=3),
    "BiTR101x1":                V2(101, "bottleneck", **BIT),
    "BiTR101x3":                V2(101, "bottleneck", **BIT, widen_factor=3),
    "BiTR152x2":                V2(152, "bottleneck", **BIT, widen_factor=2),
    "BiTR152x4":                V2(152, "bottleneck", **BIT, widen_factor=4),
}

# Units per stage. He et al. 2015, Table 1; 200: He et al. 2016, section 5; 10, 14, 26 and 269: timm.
IMAGENET_STAGES: dict[str, dict[int, tuple[int, ...]]] = {
    "basic":      {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)},
    "bottleneck": {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3),
                   200: (3, 24, 36, 3), 269: (3, 30, 48, 8)},
}
# fmt: on

# What of a row a constructor's arguments may vary, see `with_overrides`.
VARIATIONS = ("block", "unit", "shortcut", "stem", "projection", "antialias", "attention", "normalization")
PROJECTIONS = ("1x1", "avg_pool")

# Depth = layers * n + ends, for three stages of n units.
CIFAR_FORMULAS = {
    ("cifar", "basic"): (6, 2),
    ("cifar", "bottleneck"): (9, 2),
    ("wide", "basic"): (6, 4),
    ("wide", "bottleneck"): (9, 4),
}


def get_variant(name: str) -> Variant:
    """The row of a named network.

    Raises:
        UserError: for an unknown name, with the names most like it.
    """
    if name in VARIANTS:
        return VARIANTS[name]
    parts = re.fullmatch(r"(ResNet|PlainNet)(\d+)(\w*)", str(name))
    kin = [other for other in VARIANTS if parts and other.startswith(parts[1]) and other.endswith(parts[3])]
    if parts and kin:
        depth = int(parts[2])
        nearest = sorted(kin, key=lambda other: abs(VARIANTS[other].depth - depth))[:2]
        raise UserError(
            f"no network is called {name!r}: depths are 6n+2 (basic) or 9n+2 (bottleneck) for CIFAR, "
            f"18, 34, 50, 101, 152 or 200 for ImageNet; the nearest are {' and '.join(nearest)}"
        )
    near = difflib.get_close_matches(str(name), VARIANTS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UserError(f"unknown model {name!r}: {hint}`keras-resnet list` shows all {len(VARIANTS)}")


def with_overrides(variant: Variant, **variations: str | None) -> Variant:
    """The row with another value in some columns of `VARIATIONS`; None leaves a column as it is.

    Another block brings its own shortcut along where none is given: on CIFAR the papers' basic networks have option A, their
    bottlenecks projections.

    Raises:
        UserError: for a value that there is not. Those of other columns than these the builder checks.
    """
    given: dict[str, Any] = {name: value for name, value in variations.items() if value is not None}
    block = given.get("block")
    for column, valid, of_what in (
        ("block", BLOCKS, "blocks"),
        ("unit", ORDERS, "orders inside a unit"),
        ("stem", STEM_NAMES, "stems"),
        ("projection", PROJECTIONS, "projections"),
    ):
        if column in given and given[column] not in valid:
            raise UserError(f"unknown {column} {given[column]!r}; the {of_what} are {comma_join(valid)}")
    if block not in (None, variant.block) and variant.family == "cifar" and variant.shortcut != "none":
        given = {"shortcut": {"basic": "A", "bottleneck": "B"}[block], **given}
    return dataclasses.replace(variant, **given)


def stage_depths(variant: Variant) -> tuple[int, ...]:
    """Units per stage of a row.

    Raises:
        UserError: for a depth that does not fit, with the formula and the nearest depths that do.
    """
    depth, block = variant.depth, variant.block
    if variant.units:
        return variant.units
    if variant.family == "imagenet":
        stages = IMAGENET_STAGES[block]
        if depth not in stages:
            layers, nearest = (2 if block == "basic" else 3), sorted(stages, key=lambda other: abs(other - depth))[:2]
            raise UserError(
                f"no ImageNet network of {block} units has depth {depth}: it is {layers} * units + 2, "
                f"and the nearest are {' and '.join(map(str, sorted(nearest)))}"
            )
        return stages[depth]
    layers, ends = CIFAR_FORMULAS[variant.family, block]
    n, rest = divmod(depth - ends, layers)
    if rest or n < 1:
        nearest = [layers * m + ends for m in ((n, n + 1) if n > 0 else (1, 2))]
        raise UserError(
            f"a CIFAR network of {block} units has depth {layers}n+{ends}, which {depth} is not; "
            f"the nearest are {nearest[0]} and {nearest[1]}"
        )
    return (n, n, n)
