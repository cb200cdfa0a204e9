"""THE table: one row per named network, and the rules for what fits together."""

import dataclasses
import difflib
import re

from keras_resnet.errors import UserError, comma_join

from .orders import BLOCKS, ORDERS


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
    """

    family: str
    depth: int
    block: str
    unit: str
    shortcut: str
    stride_on: str = "1x1"
    widen_factor: int = 1
    stem: str = ""

    def __post_init__(self) -> None:
        if not self.stem:
            object.__setattr__(self, "stem", FAMILIES[self.family].stem)


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
}

# Units per stage. He et al. 2015, Table 1; 200: He et al. 2016, section 5.
IMAGENET_STAGES: dict[str, dict[int, tuple[int, ...]]] = {
    "basic":      {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)},
    "bottleneck": {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)},
}
# fmt: on

VARIATIONS = ("block", "unit", "shortcut")  # what of a row a constructor's arguments may vary, see `with_overrides`

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


def with_overrides(
    variant: Variant, *, block: str | None = None, unit: str | None = None, shortcut: str | None = None
) -> Variant:
    """The row with another block, order or shortcut.

    Another block brings its own shortcut along where none is given: on CIFAR the papers' basic networks have option A, their
    bottlenecks projections.

    Raises:
        UserError: for an unknown block or order.
    """
    if block not in (None, *BLOCKS):
        raise UserError(f"unknown block {block!r}; the blocks are {comma_join(BLOCKS)}")
    if unit not in (None, *ORDERS):
        raise UserError(f"unknown unit {unit!r}; the orders inside a unit are {comma_join(ORDERS)}")
    if block not in (None, variant.block):
        if shortcut is None and variant.family == "cifar" and variant.shortcut != "none":
            shortcut = {"basic": "A", "bottleneck": "B"}[block]
        variant = dataclasses.replace(variant, block=block)
    given = {"unit": unit, "shortcut": shortcut}
    return dataclasses.replace(variant, **{key: value for key, value in given.items() if value is not None})


def stage_depths(variant: Variant) -> tuple[int, ...]:
    """Units per stage of a row.

    Raises:
        UserError: for a depth that does not fit, with the formula and the nearest depths that do.
    """
    depth, block = variant.depth, variant.block
    if variant.family == "imagenet":
        stages = IMAGENET_STAGES[block]
        if depth not in stages:
            layers, nearest = (2 if block == "basic" else 3), sorted(stages, key=lambda other: abs(other - depth))[:2]
            raise UserError(
                f"no ImageNet network of {block} units has depth {depth}: it is {layers} * units + 2, "
                f"and the nearest of the papers' are {' and '.join(map(str, sorted(nearest)))}"
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
