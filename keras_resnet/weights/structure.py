"""What kind of network it is, read from the names and strides of its layers.

Tensors alone do not tell: torchvision's weights fit ResNet50V1 to the last shape, and compute something else there.
"""

import dataclasses
import re

from keras_resnet.models.residual_units import BLOCKS, ORDERS, steps


@dataclasses.dataclass(frozen=True)
class Structure:
    """order, block: of the units. depths: units per stage. stride_on: in a bottleneck, "1x1" or "3x3"; "" where nothing tells.
    shortcut: the kinds of layers in it, such as "_conv" and "_pad"; "plain" where there is none. Subsampling does not count.
    """

    order: str
    block: str
    depths: tuple
    stride_on: str
    shortcut: tuple

    @classmethod
    def of(cls, layers):
        """The structure of a network of ours from its layers' configurations in order, or None if it is none of ours."""
        parts = [re.fullmatch(r"stage(\d+)_unit(\d+)_(\w+)", layer.get("name", "")) for layer in layers]
        units = {(int(part[1]), int(part[2])) for part in parts if part}
        if not units:
            return None
        stages = sorted({stage for stage, _ in units})
        depths = tuple(max(unit for s, unit in units if s == stage) for stage in stages)
        kinds = [part[3] for part in parts if part and part[1] == "1" and part[2] == str(depths[0])]
        order, block = find_order([kind for kind in kinds if re.fullmatch(r"(conv|norm|relu)\d|add", kind)])
        strided = {part[3] for part, layer in zip(parts, layers, strict=True) if part and max(layer.get("strides", (1,))) > 1}
        shortcut = set()
        for part, layer in zip(parts, layers, strict=True):
            if part and part[3].startswith("shortcut"):
                kind = part[3].removeprefix("shortcut")
                shortcut.add(f"{kind}{layer['scale']}" if kind.endswith("scale") else kind)
        residual = any(part and part[3] == "add" for part in parts)
        return cls(
            order=order,
            block=block,
            depths=depths,
            stride_on="3x3" if "conv2" in strided else "1x1" if "conv1" in strided and block == "bottleneck" else "",
            shortcut=tuple(sorted(shortcut - {"_subsample"})) if residual else ("plain",),
        )


def find_order(kinds):
    """The order and block whose unit has just these layers, such as "conv1", in a row; the addition may be missing."""
    for order in ORDERS:
        for block in BLOCKS:
            before, branch, after = ([f"{kind}{number}" for kind, number in part] for part in steps(order, block))
            if kinds in ([*before, *branch, "add", *after], [*before, *branch, *after]):
                return order, block
    return "", ""
