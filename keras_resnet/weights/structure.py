"""Reads what kind of network it is from the names and strides of its layers.

Tensors alone do not tell: torchvision's weights fit ResNet50V1 to the last shape, and compute something else there.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from keras_resnet.models import naming
from keras_resnet.models.naming import UnitLayer
from keras_resnet.models.orders import BLOCKS, ORDERS, operations
from keras_resnet.models.variants import Variant, stage_depths

if TYPE_CHECKING:
    import keras

STEM_PAD = naming.sublayer(naming.STEM_CONV, "pad")
CLASS = "class_name"  # of a layer, beside its configuration


@dataclasses.dataclass(frozen=True)
class Structure:
    """The kind of a network.

    Attributes:
        order: of the operations inside a unit, a row of `orders.ORDERS`.
        block: "basic" or "bottleneck".
        depths: units per stage.
        stride_on: in a bottleneck the convolution with the stride, or with the filter in its place, "1x1" or "3x3"; "" where
            nothing tells.
        shortcut: the kinds of layers on it but for subsampling, such as "conv" and "pad", or ("plain",) without shortcuts.
        projection, antialias, attention: columns of the table, attention without its numbers.
        standardized: whether the kernels are.
        pool: of the stem: padded with "zeros" or "neg_inf" on all sides, with "same" as TensorFlow does, an antialias "filter",
            or "none".
        strided_unit: the unit of a stage that has the stride, "first" or "last"; "" where nothing tells.
        padding: of the convolutions with a stride: "symmetric"; "same"; "same_in_units" where the stem's is symmetric; "" where
            nothing tells.
    """

    order: str
    block: str
    depths: tuple[int, ...]
    stride_on: str
    shortcut: tuple[str, ...]
    projection: str = "1x1"
    antialias: str = "none"
    attention: str = "none"
    standardized: bool = False
    pool: str = "none"
    strided_unit: str = "first"
    padding: str = "symmetric"

    @classmethod
    def of_model(cls, model: "keras.Model") -> Self | None:
        """The structure of a network of this zoo; None for other networks, whose layers may have no configuration."""
        ours = ((layer, naming.part_of(layer.name)) for layer in model.layers)
        return cls.of([{**layer.get_config(), CLASS: type(layer).__name__} if part else {} for layer, part in ours])

    @classmethod
    def of(cls, layers: Sequence[Mapping[str, Any]]) -> Self | None:
        """The structure of a network of this zoo from its layers' configurations in order; None for other networks."""
        parsed = [UnitLayer.parse(layer.get("name", "")) for layer in layers]
        units = naming.units_per_stage(parsed)
        if not units:
            return None
        pairs = [(unit, layer) for unit, layer in zip(parsed, layers, strict=True) if unit]
        last_of_stage1 = [u.operation for u, _ in pairs if (u.stage, u.unit) == (1, units.get(1)) and u.on_branch]
        order, block = find_order(last_of_stage1)
        kinds = {unit.operation for unit, _ in pairs}
        strided = [(unit, layer) for unit, layer in pairs if is_strided(layer)]
        on_branch = {unit.operation for unit, _ in strided}
        if naming.ANTIALIAS in kinds:
            on_branch = {filtered(unit.operation for unit, _ in pairs if unit.on_branch or unit.operation == naming.ANTIALIAS)}
        shortcut = set()
        for unit, layer in pairs:
            if (kind := unit.shortcut_operation) is not None:
                shortcut.add(f"{kind}{layer.get('scale')}" if kind.endswith("scale") else kind)
        paddings = {layer.get("padding") for unit, layer in strided if unit.operation.startswith("conv")}
        same = "same_in_units" if any(layer.get("name") == STEM_PAD for layer in layers) else "same"
        return cls(
            order=order,
            block=block,
            depths=tuple(units.values()),
            stride_on="3x3" if "conv2" in on_branch else "1x1" if "conv1" in on_branch and block == "bottleneck" else "",
            shortcut=tuple(sorted(shortcut - {"subsample", "pool"})) if naming.ADD in kinds else ("plain",),
            projection="avg_pool" if "pool" in shortcut else "1x1",
            antialias=antialias(kinds),
            attention=next((kind for kind in ("se", "eca") if any(each.startswith(f"{kind}_") for each in kinds)), "none"),
            standardized=any(layer.get(CLASS) == "StandardizedConv2D" for layer in layers),
            pool=stem_pool({layer.get("name", ""): layer for layer in layers}),
            strided_unit="" if not strided else "last" if any(unit.unit > 1 for unit, _ in strided) else "first",
            padding="" if not paddings else same if "same" in paddings else "symmetric",
        )

    @classmethod
    def expected(cls, variant: Variant) -> dict[str, Any]:
        """Those attributes of a named network that its row tells."""
        stride_on = variant.stride_on if variant.block == "bottleneck" else ""
        return {
            "order": variant.unit,
            "block": variant.block,
            "depths": stage_depths(variant),
            "stride_on": stride_on,
            "projection": variant.projection,
            "antialias": variant.antialias,
            "attention": variant.attention.partition("(")[0],
            "standardized": variant.normalization == "group_standardized",
        }

    def differences(self, expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The attributes that are not as expected, as `{name: (expected, here)}`; what nothing tells here is as expected."""
        found = {name: (value, getattr(self, name)) for name, value in expected.items()}
        return {name: values for name, values in found.items() if values[0] != values[1] and "" not in values}

    def agrees(self, other: Self) -> bool:
        """Whether nothing tells that another network of the same tensors computes something else."""
        return not other.differences(dataclasses.asdict(self))


def is_strided(layer: Mapping[str, Any]) -> bool:
    """Whether a layer has a stride, by its configuration."""
    strides = layer.get("strides") or 1
    return max(strides if isinstance(strides, (list, tuple)) else (strides,)) > 1


def filtered(operations: Iterable[str]) -> str:
    """The convolution of a branch that an antialias filter takes the stride from: the last one before it."""
    conv = ""
    for operation in operations:
        if operation == naming.ANTIALIAS:
            break
        conv = operation if operation.startswith("conv") else conv
    return conv


def antialias(operations: Collection[str]) -> str:
    """The filter among the layers of the units, a row of `antialiasing.ANTIALIASING`."""
    if naming.ANTIALIAS not in operations:
        return "none"
    return "blur" if naming.sublayer(naming.ANTIALIAS, "blur") in operations else "avg"


def stem_pool(layers: Mapping[str, Mapping[str, Any]]) -> str:
    """How the stem's maximum is padded, see `Structure.pool`. layers: configurations by name."""
    pool = layers.get(naming.STEM_POOL)
    if pool is None:
        return "none"
    if naming.sublayer(naming.STEM_POOL, "pad") in layers:
        return "zeros"
    if naming.sublayer(naming.STEM_POOL, "subsample") in layers:
        return "neg_inf"
    return "same" if pool.get("padding") == "same" else "filter"


def find_order(unit: Sequence[str]) -> tuple[str, str]:
    """The order and block whose unit has exactly these layers, such as "conv1", in this order; the addition may be missing."""
    for order in ORDERS:
        for block in BLOCKS:
            before, branch, after = ([f"{kind}{number}" for kind, number in part] for part in operations(order, block))
            if unit in ([*before, *branch, naming.ADD, *after], [*before, *branch, *after]):
                return order, block
    return "", ""
