"""What a PyTorch weight file is by its own account, where its tensors do not tell: by its configuration, or by its name.

timm's resnet50, resnetaa50 and resnetblur50 have the same tensors to the last shape, and compute different things.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_resnet.errors import UserError, comma_join
from keras_resnet.hub.repository import CONFIG, read_object
from keras_resnet.hub.transformers_config import SETTINGS
from keras_resnet.models.variants import get_variant
from keras_resnet.records import shown

from .architectures import TIMM_ARCHITECTURES, TIMM_REFUSED
from .checkpoint_formats import CheckpointFormat
from .structure import Structure
from .torch_formats import TORCH_FORMATS

# What the tensors do not tell. Where a file's name and its network differ in more than that, the name is wrong.
SILENT = {"antialias", "stride_on", "projection", "standardized"}
ARCHITECTURE = re.compile(rf"({'|'.join(sorted(TIMM_ARCHITECTURES, key=len, reverse=True))})(?:[-._].*)?")
CACHE_FOLDER = "models--"  # models--timm--resnetaa50.a1h_in1k, in the Hugging Face cache

STRIDE_ON_1X1 = ("ResNet50V1", "ResNet101V1", "ResNet152V1")


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a file claims to be.

    Attributes:
        architecture: by the name that its library has for it.
        says: what it is said by, for messages.
        expected: attributes of `Structure` that follow.
        in_name_only: whether nothing but the file's name says it.
    """

    architecture: str
    says: str
    expected: dict[str, Any]
    in_name_only: bool = False


def as_configured(path: str, checkpoint_format: CheckpointFormat) -> CheckpointFormat:
    """The format, as the `config.json` next to a file of transformers' has it.

    Raises:
        UserError: if the network there is not one of this zoo, whatever its tensors are called.
    """
    config = read_config(path) if checkpoint_format.name.startswith("transformers") else {}
    model_type = config.get("model_type")
    if model_type not in SETTINGS:
        return checkpoint_format
    for setting, ours in SETTINGS[model_type].items():
        if config.get(setting, ours) != ours:
            raise UserError(
                f"{path} has {setting} {shown(config[setting])} by the {CONFIG} next to it; in networks of this zoo "
                f"it is {shown(ours)}"
            )
    if model_type == "resnet" and config.get("downsample_in_bottleneck") and config.get("layer_type") != "basic":
        return dataclasses.replace(checkpoint_format, stride_on="1x1", compatible_models=STRIDE_ON_1X1)
    return checkpoint_format


def check_claims(path: str, checkpoint_format: CheckpointFormat, structure: Structure, model_name: str) -> None:
    """Raises a `UserError` if a file of PyTorch claims to be of another network than the one it is loaded into.

    structure: of that network, which messages call `model_name`.
    """
    if checkpoint_format not in TORCH_FORMATS or not checkpoint_format.preset.startswith(("torchvision", "timm", "bit")):
        return
    for claim in claims(path):
        different = structure.differences(claim.expected)
        if not different or (claim.in_name_only and not different.keys() <= SILENT):
            continue
        fields = comma_join(f"{field} {ours}, not {theirs}" for field, (theirs, ours) in different.items())
        model = TIMM_ARCHITECTURES[claim.architecture]
        remedy = "rename the file" if claim.in_name_only else "correct or remove it"
        raise UserError(
            f"{path} holds weights of {claim.architecture} by {claim.says}, which fit {model}; {model_name} has {fields}; "
            f"if that is wrong, {remedy}"
        )


def claims(path: str) -> Iterator[Claim]:
    """What a configuration next to the file says, or else its name."""
    architecture = read_config(path).get("architecture")
    if isinstance(architecture, str):
        if architecture in TIMM_REFUSED:
            raise UserError(
                f"{path} holds weights of {architecture} by the {CONFIG} next to it, which is not a network of this zoo: "
                f"{TIMM_REFUSED[architecture]}"
            )
        if architecture in TIMM_ARCHITECTURES:
            yield claim(architecture, f"the {CONFIG} next to it")
            return
    folders = [part.rpartition("--")[2] for part in Path(path).parts if part.startswith(CACHE_FOLDER)]
    for name in (os.path.basename(path), *folders):
        if match := ARCHITECTURE.fullmatch(name):
            yield claim(match[1], "its name", in_name_only=True)
            return


def claim(architecture: str, says: str, in_name_only: bool = False) -> Claim:
    """What follows from the name of an architecture."""
    variant = get_variant(TIMM_ARCHITECTURES[architecture])
    return Claim(architecture, says, Structure.expected(variant), in_name_only)


def read_config(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """The `config.json` next to a file; empty without one, and for one that is something else."""
    try:
        return read_object(Path(path).with_name(CONFIG))
    except UserError:
        return {}
