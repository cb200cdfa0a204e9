"""Reads what kind of network it is from the names and strides of its layers.

Tensors alone do not tell: torchvision's weights fit ResNet50V1 to the last shape, and compute something else there.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from keras_resnet.models import naming
from keras_resnet.models.naming import UnitLayer
from keras_resnet.models.orders import BLOCKS, ORDERS, operations

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Structure:
    """The kind of a network.

    Attributes:
        order: of the operations inside a unit, a row of `orders.ORDERS`.
        block: "basic" or "bottleneck".
        depths: units per stage.
        stride_on: in a bottleneck the convolution with the stride, "1x1" or "3x3"; "" where nothing tells.
        shortcut: the kinds of layers on it but for subsampling, such as "conv" and "pad", or ("plain",) without shortcuts.
    """

    order: str
    block: str
    depths: tuple[int, ...]
    stride_on: str
    shortcut: tuple[str, ...]

    @classmethod
    def of_model(cls, model: "keras.Model") -> Self | None:
        """The structure of a network of this zoo; None for other networks, whose layers may have no configuration."""
        parsed = ((layer, UnitLayer.parse(layer.name)) for layer in model.layers)
        return cls.of([layer.get_config() if unit else {"name": layer.name} for layer, unit in parsed])

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
        strided = {unit.operation for unit, layer in pairs if max(layer.get("strides", (1,))) > 1}
        shortcut = set()
        for unit, layer in pairs:
            if (kind := unit.shortcut_operation) is not None:
                shortcut.add(f"{kind}{layer.get('scale')}" if kind.endswith("scale") else kind)
        residual = any(unit.operation == naming.ADD for unit, _ in pairs)
        return cls(
            order=order,
            block=block,
            depths=tuple(units.values()),
            stride_on="3x3" if "conv2" in strided else "1x1" if "conv1" in strided and block == "bottleneck" else "",
            shortcut=tuple(sorted(shortcut - {"subsample"})) if residual else ("plain",),
        )


def find_order(unit: Sequence[str]) -> tuple[str, str]:
    """The order and block whose unit has exactly these layers, such as "conv1", in this order; the addition may be missing."""
    for order in ORDERS:
        for block in BLOCKS:
            before, branch, after = ([f"{kind}{number}" for kind, number in part] for part in operations(order, block))
            if unit in ([*before, *branch, naming.ADD, *after], [*before, *branch, *after]):
                return order, block
    return "", ""
