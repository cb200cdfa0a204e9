"""How libraries name the tensors of their checkpoints, and what they are for: the columns of `CHECKPOINT_FORMATS`."""

import dataclasses
import re

from keras_resnet.models import naming
from keras_resnet.models.naming import sublayer, unit_layer

PROJECTION, BARE_PROJECTION, PADDING = ("conv", "norm"), ("",), ("pad",)  # of `Structure.shortcut`
POINTLESS = ("zeros", "neg_inf", "none")  # of `Structure.pool`: behind a ReLU two agree, and the tensors tell the third

# Our names, in which `CheckpointFormat.layer` fills in the numbers.
CONV, NORM = unit_layer("{s}", "{u}", "conv{n}"), unit_layer("{s}", "{u}", "norm{n}")
NORM1, NORM2, NORM3 = (unit_layer("{s}", "{u}", f"norm{n}") for n in (1, 2, 3))
SHORTCUT = unit_layer("{s}", "{u}", naming.SHORTCUT)
SHORTCUT_CONV, SHORTCUT_NORM = sublayer(SHORTCUT, "conv"), sublayer(SHORTCUT, "norm")
STEM_CONVS, STEM_NORMS = ([naming.stem_layer(kind, number) for number in range(1, 5)] for kind in ("conv", "norm"))


@dataclasses.dataclass(frozen=True)
class CheckpointFormat:
    """How a library names the tensors of its checkpoints, and what network they are for.

    Attributes:
        name: of the format, for messages.
        signature_layer: a layer that this format has and those after it in `CHECKPOINT_FORMATS` do not have.
        compatible_models: the networks of this zoo that compute the same.
        name_map: (pattern of a layer's name, our name), where `{s}`, `{u}` and `{n}` are the stage, the unit and the number of
            the operation in it; each a number, or a letter that counts from "a".
        signature_tensors: names of tensors that it has besides, and those after it with the same layer do not have.
        order, stride_on, shortcuts, projection, standardized, pools, strided_unit, padding: what the compatible networks have
            in common, see `structure.Structure`; "" or () where the tensors tell, or where it makes no difference.
        first_stage, first_unit, first_number: from which the format counts.
        features: a pattern that the names of all layers begin with but those of a head.
        outer_head: a pattern of the classifier's name where it lies outside of the rest of the network.
        epsilon: of its norms.
        preset: a row of `PREPROCESSING_PRESETS`.
        refused: why it is known, and not read.
    """

    name: str
    signature_layer: str
    compatible_models: tuple[str, ...]
    name_map: tuple[tuple[str, str], ...]
    signature_tensors: tuple[str, ...] = ()
    order: str = ""
    stride_on: str = ""
    shortcuts: tuple[tuple[str, ...], ...] = ()
    projection: str = ""
    standardized: bool = False
    pools: tuple[str, ...] = ()
    strided_unit: str = "first"
    padding: str = "symmetric"
    first_stage: int = 1
    first_unit: int = 0
    first_number: int = 1
    features: str = r"(?:stem|stage\d+|head)_"
    outer_head: str = ""
    epsilon: float = 1e-5
    preset: str = ""
    refused: str = ""

    def layer(self, theirs: str) -> str | None:
        """Our name of their layer, or None if it is unknown."""
        for pattern, ours in self.name_map:
            if match := re.fullmatch(pattern, theirs):
                found = match.groupdict()
                first = {"s": self.first_stage, "u": self.first_unit, "n": self.first_number}
                numbers = {key: number(found[key]) - at + 1 if found.get(key) else "" for key, at in first.items()}
                return ours.format(all=theirs, **numbers)
        return None


def number(text: str) -> int:
    """The number that digits or a letter stand for: "01" and "a" for 1."""
    return int(text) if text.isdigit() else ord(text) - ord("a") + 1
