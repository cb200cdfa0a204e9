"""Turns a file's tensors into a network's weights: all of them, exactly, or none."""

import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_resnet.errors import UserError, comma_join
from keras_resnet.models import naming
from keras_resnet.models.naming import LOGITS_LAYER

from .checkpoint_formats import CheckpointFormat
from .inner_network import is_head
from .stored_tensors import is_stand_in
from .structure import Structure

Tensors = dict[tuple[str, str], np.ndarray]  # by layer and variable


class MismatchError(UserError):
    """Tensors that do not match.

    Attributes:
        missing, unexpected: names of tensors that the file lacks, and of those that the network lacks.
        misshaped: names and shapes of tensors whose shapes differ.
    """

    def __init__(self, message: str, missing: list[str], unexpected: list[str], misshaped: list[str]) -> None:
        super().__init__(message)
        self.missing, self.unexpected, self.misshaped = missing, unexpected, misshaped


TORCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
TORCH_OTHER = {"weight": "kernel"}
STEM = naming.STEM_CONV, "kernel"
MOST_NAMED = 8  # networks, in a message
COUNTERS = "num_batches_tracked"  # PyTorch's, which no inference reads


def translate(
    tensors: Mapping[str, np.ndarray], checkpoint_format: CheckpointFormat, place: str = ""
) -> tuple[Tensors, dict[str, bool]]:
    """Translates `{their name: array}` to `{(layer, variable): array}` in our names and axes.

    Returns also the unknown names, each with whether it belongs to a head. `place` is what the names of the network begin with
    where it lies inside another, see `find_network`.
    """
    ours: Tensors = {}
    unknown: dict[str, bool] = {}
    for name, array in tensors.items():
        theirs, _, variable = name.rpartition(".")
        inner = theirs.removeprefix(place)
        layer = checkpoint_format.layer(inner) if theirs.startswith(place) else None
        if place and checkpoint_format.outer_head and re.fullmatch(checkpoint_format.outer_head, theirs):
            layer = LOGITS_LAYER
        if variable == COUNTERS:
            continue
        if layer is None:
            unknown[name] = is_head(inner, array, checkpoint_format)
            continue
        in_norm = array.ndim == 1 and naming.is_norm(layer)
        key = layer, (TORCH_NORM if in_norm else TORCH_OTHER).get(variable, variable)
        if key in ours:
            unknown[name] = is_head(inner, array, checkpoint_format)
        else:
            ours[key] = as_keras(array, variable, layer)
    return ours, unknown


def as_keras(array: np.ndarray, variable: str, layer: str) -> np.ndarray:
    """PyTorch's (out, in, h, w) as Keras' (h, w, in, out); a classifier that is a 1x1 convolution as a dense one, (in, out)."""
    if variable == "weight":
        if layer == LOGITS_LAYER and array.ndim >= 2 and set(array.shape[2:]) <= {1}:
            return array.reshape(array.shape[:2]).T
        return array.transpose(*range(2, array.ndim), 1, 0) if array.ndim in (3, 4) else array
    if layer == LOGITS_LAYER and array.ndim == 4 and array.shape[:2] == (1, 1):
        return array.reshape(array.shape[2:])
    return array


def check_structure(checkpoint_format: CheckpointFormat, structure: Structure, model_name: str, path: str) -> None:
    """Raises a `UserError` if the network would compute something else with these weights, whatever their shapes."""
    known, wrong = checkpoint_format, []
    if not known.order:
        return
    if structure.order != known.order:
        wrong.append(f"units of order {structure.order}, not {known.order}")
    if known.stride_on and structure.stride_on not in ("", known.stride_on):
        wrong.append(f"its stride on the {structure.stride_on}, not on the {known.stride_on}")
    if known.shortcuts and structure.shortcut not in known.shortcuts:
        wrong.append("shortcuts of another kind")
    if known.projection and structure.projection != known.projection:
        wrong.append(f"projections of the kind {structure.projection}, not {known.projection}")
    if structure.standardized != known.standardized:
        wrong.append(f"kernels that are {'' if structure.standardized else 'not '}standardized")
    if structure.strided_unit not in ("", known.strided_unit):
        wrong.append(f"the stride in the {structure.strided_unit} unit of a stage, not in the {known.strided_unit}")
    if structure.padding not in ("", known.padding) or (known.pools and structure.pool not in known.pools):
        wrong.append("other pixels at the edges of its maximum or its convolutions")
    if structure.antialias != "none" and "filter" not in known.pools:
        wrong.append(f"the antialias filter {structure.antialias}")
    if wrong:
        fit = comma_join(known.compatible_models, MOST_NAMED)
        raise UserError(f"{path} holds {known.name} weights, but {model_name} has {comma_join(wrong)}; such weights fit {fit}")


def adapt_conventions(model: keras.Model, tensors: Tensors, checkpoint_format: CheckpointFormat) -> Tensors:
    """Adapts the tensors to the conventions of the model's own layers, exactly.

    A convolution's biases before a norm go into its moving mean, another epsilon into its moving variance.
    """
    tensors = dict(tensors)
    layers = {layer.name: layer for layer in model.layers}
    for layer, variable in list(tensors):
        if not are_weights(tensors[layer, variable], variable):
            continue  # `assign` refuses it, unless arithmetic makes a weight of it
        if variable == "bias" and checkpoint_format.order == "original" and naming.is_conv(layer):
            mean = naming.norm_after(layer), "moving_mean"  # in this order a norm follows every convolution
            if mean in tensors and tensors[mean].shape == tensors[layer, variable].shape:
                tensors[mean] = tensors[mean] - tensors.pop((layer, variable))
        if variable == "moving_variance" and checkpoint_format.order and layer in layers:
            difference = np.float32(checkpoint_format.epsilon - layers[layer].epsilon)
            tensors[layer, variable] = tensors[layer, variable] + difference
    return tensors


def assign(
    model: keras.Model,
    tensors: Tensors,
    unknown: Mapping[str, bool],
    skip_head: bool,
    path: str,
    checkpoint_format: CheckpointFormat,
) -> None:
    """Assigns the tensors to the model's weights, or raises a `MismatchError` or `UserError` and changes nothing."""
    wanted = {(layer.name, weight.name): weight for layer in model.layers for weight in layer.weights}
    if skip_head:
        wanted = {key: weight for key, weight in wanted.items() if key[0] != LOGITS_LAYER}
    if without_head := skip_head or not any(layer.name == LOGITS_LAYER for layer in model.layers):
        tensors = {key: array for key, array in tensors.items() if key[0] != LOGITS_LAYER}
    missing = ["/".join(key) for key in wanted if key not in tensors]
    unexpected = dict(unknown)
    for key, array in tensors.items():
        if key not in wanted:
            unexpected["/".join(map(str, key))] = naming.part_of(key[0]) is None and is_head(key[0], array, checkpoint_format)
    if without_head:
        unexpected = {name: head for name, head in unexpected.items() if not head}
    shapes = {key: (tensors[key].shape, tuple(weight.shape)) for key, weight in wanted.items() if key in tensors}
    misshaped = [f"{'/'.join(key)} {theirs} instead of {ours}" for key, (theirs, ours) in shapes.items() if theirs != ours]
    if missing or unexpected or misshaped:
        found = {"missing": missing, "unexpected": list(unexpected), "misshaped": misshaped}
        lists = "; ".join(f"{word} {shorten(names)}" for word, names in found.items() if names)
        only_head = all(unexpected.values()) and all(name.startswith(LOGITS_LAYER) for name in missing + misshaped)
        other_channels = (
            not missing and not unexpected and [key for key in shapes if shapes[key][0] != shapes[key][1]] == [STEM]
        )
        compatible_models = comma_join(checkpoint_format.compatible_models, MOST_NAMED) or "the network they were saved from"
        hint = f"{checkpoint_format.name} weights fit {compatible_models}"
        if only_head:
            hint = "load_weights(..., skip_head=True), or --skip_head of train, loads all but the classifier"
        elif other_channels:
            hint = "load_weights(..., adapt_channels=True) makes a first kernel for the network's images of it"
        raise MismatchError(f"{path} does not fit {model.name}: {lists}; {hint}", **found)
    broken = ["/".join(key) for key in wanted if not are_weights(tensors[key], key[1])]
    if broken:
        raise UserError(f"{path} holds values that cannot be weights (integers, NaN, negative variances), in {shorten(broken)}")
    for key, weight in wanted.items():
        weight.assign(tensors[key])


def are_weights(array: np.ndarray, variable: str) -> bool:
    """Whether these are finite floating point numbers and, if they are variances, not negative."""
    if is_stand_in(array) or (array.dtype.kind != "f" and array.dtype.name != "bfloat16"):
        return False
    array = array.astype(np.float32)
    return bool(np.all(np.isfinite(array))) and not (variable == "moving_variance" and bool(np.any(array < 0)))


def shorten(names: Sequence[str], most: int = 5) -> str:
    """Joins the names, or the first of them and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{comma_join(names[:most])}{rest}"
