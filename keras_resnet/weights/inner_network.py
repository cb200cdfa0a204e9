"""Finds the network among the tensors of a file: it may lie inside another, and have layers of its user's around it."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from keras_resnet.errors import UserError, comma_join

from .checkpoint_formats import CHECKPOINT_FORMATS, CheckpointFormat

# The names of PyTorch's modules that are heads even where they are convolutions: "classifier", "mlp_head", "last_linear".
HEAD_WORDS = (
    "fc|linear|heads?|classifiers?|classification|cls|class|logits?|outputs?|out|projection|projector|projectors|proj|predictor|"
    "predictors|prediction|predictions|prototypes?|embedding|embed|mlp|dense|neck|top"
)
HEAD_NAME = re.compile(rf"(?:.*_)?(?:{HEAD_WORDS})\d*(?:_.*)?")


def find_network(tensors: Mapping[str, np.ndarray], path: str) -> tuple[CheckpointFormat, str]:
    """The format of the network in a file, and where it lies: "" or a path of names before its own, such as "resnet50/".

    Raises:
        UserError: if there is none, or several.
    """
    found = networks_in(tensors)
    if not found:
        raise UserError(f"{path} holds no known ResNet; its tensors are {comma_join(tensors, 5)}")
    if "" not in found and len(found) > 1:
        raise UserError(
            f"{path} holds {len(found)} networks, in {comma_join((place[:-1] for place in found), 3)}: "
            "save the one that you want in a file of its own"
        )
    place = "" if "" in found else next(iter(found))
    if found[place].refused:
        raise UserError(f"{path} holds {found[place].name} weights, which are not read: {found[place].refused}")
    return found[place], place


def networks_in(tensors: Iterable[str]) -> dict[str, CheckpointFormat]:
    """The formats of all networks that have tensors of these names, by where they lie."""
    found: dict[str, CheckpointFormat] = {}
    names = set(tensors)
    layers = sorted({name.rpartition(".")[0] for name in names})
    for known in CHECKPOINT_FORMATS:
        ends = tuple(f"{separator}{known.signature_layer}" for separator in "./")
        for layer in layers:
            place = layer.removesuffix(known.signature_layer)
            is_signature = layer == known.signature_layer or layer.endswith(ends)
            if is_signature and all(f"{place}{tensor}" in names for tensor in known.signature_tensors):
                found.setdefault(place, known)
    return found


def is_head(layer: str, array: np.ndarray, checkpoint_format: CheckpointFormat) -> bool:
    """Whether a tensor that no layer of the network has belongs to a head of its user's, which `skip_head` leaves out.

    What is not part of the features and is neither a convolution nor the like comes after them; what has more axes is one by
    its name only, for it might as well stand in front of them.
    """
    if re.match(checkpoint_format.features, layer):
        return False
    return array.ndim <= 2 or HEAD_NAME.fullmatch(re.split("[./]", layer)[0].lower()) is not None
