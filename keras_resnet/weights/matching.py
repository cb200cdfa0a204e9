"""A file's tensors become a network's weights: all of them, exactly, or none."""

import numpy as np

from keras_resnet.errors import UserError, comma_join
from keras_resnet.models.layers import LOGITS_LAYER


class MismatchError(UserError):
    """Tensors that do not match: the names of those that are `missing` or `unexpected`, and the shapes of the `misshaped`."""

    def __init__(self, message, missing, unexpected, misshaped):
        super().__init__(message)
        self.missing, self.unexpected, self.misshaped = missing, unexpected, misshaped


TORCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
TORCH_OTHER = {"weight": "kernel"}
COUNTERS = "num_batches_tracked"  # PyTorch's, which no inference reads


def translate(tensors, source):
    """`{their name: array}` to `{(layer, variable): array}` in our names and layouts, and the names that are unknown."""
    ours, unknown = {}, []
    for name, array in tensors.items():
        theirs, _, variable = name.rpartition(".")
        layer = source.layer(theirs)
        if variable == COUNTERS:
            continue
        norm = layer and array.ndim == 1 and "norm" in layer.rpartition("_")[2]
        key = layer, (TORCH_NORM if norm else TORCH_OTHER).get(variable, variable)
        if layer is None or key in ours:
            unknown.append(name)
        else:
            ours[key] = as_keras(array, variable, layer)
    return ours, unknown


def as_keras(array, variable, layer):
    """PyTorch's (out, in, h, w) as Keras' (h, w, in, out), its (out, in) or (out, in, 1, 1) of the classifier as (in, out)."""
    if variable != "weight":
        return array
    if layer == LOGITS_LAYER and array.ndim >= 2 and set(array.shape[2:]) <= {1}:
        return array.reshape(array.shape[:2]).T
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def check_structure(source, structure, model_name, path):
    """Raises a `UserError` where the network would compute something else with these weights, whatever their shapes."""
    wrong = []
    if source.order and structure.order != source.order:
        wrong.append(f"units of order {structure.order}, not {source.order}")
    if source.stride_on and structure.stride_on not in ("", source.stride_on):
        wrong.append(f"its stride on the {structure.stride_on}, not on the {source.stride_on}")
    if source.shortcuts and structure.shortcut not in source.shortcuts:
        wrong.append("shortcuts of another kind")
    if wrong:
        raise UserError(
            f"{path} holds {source.name} weights, but {model_name} has {comma_join(wrong)}; "
            f"such weights fit {comma_join(source.compatible_models)}"
        )


def adapt_conventions(model, tensors, source):
    """Brings the tensors to the conventions of the model's own layers, exactly.

    A convolution's biases in front of a norm go into its moving mean, another epsilon into its moving variance.
    """
    tensors = dict(tensors)
    layers = {layer.name: layer for layer in model.layers}
    for layer, variable in list(tensors):
        if variable == "bias" and source.order == "original" and "conv" in layer:
            mean = layer.replace("conv", "norm"), "moving_mean"  # in this order every convolution has its norm behind it
            if mean in tensors and tensors[mean].shape == tensors[layer, variable].shape:
                tensors[mean] = tensors[mean] - tensors.pop((layer, variable))
        if variable == "moving_variance" and source.order and layer in layers:
            tensors[layer, variable] = tensors[layer, variable] + np.float32(source.epsilon - layers[layer].epsilon)
    return tensors


def assign(model, tensors, unknown, skip_head, path, source):
    """Puts the tensors into the model's weights, or raises a `MismatchError` and changes nothing."""
    wanted = {(layer.name, weight.name): weight for layer in model.layers for weight in layer.weights}
    if skip_head:
        wanted = {key: weight for key, weight in wanted.items() if key[0] != LOGITS_LAYER}
    if skip_head or not any(layer.name == LOGITS_LAYER for layer in model.layers):
        tensors = {key: array for key, array in tensors.items() if key[0] != LOGITS_LAYER}
    missing = ["/".join(key) for key in wanted if key not in tensors]
    unexpected = unknown + ["/".join(map(str, key)) for key in tensors if key not in wanted]
    shapes = {key: (tensors[key].shape, tuple(weight.shape)) for key, weight in wanted.items() if key in tensors}
    misshaped = [f"{'/'.join(key)} {theirs} instead of {ours}" for key, (theirs, ours) in shapes.items() if theirs != ours]
    if missing or unexpected or misshaped:
        found = {"missing": missing, "unexpected": unexpected, "mis-shaped": misshaped}
        lists = "; ".join(f"{word} {shown(names)}" for word, names in found.items() if names)
        only_head = not unexpected and all(name.startswith(LOGITS_LAYER) for name in missing + misshaped)
        compatible_models = comma_join(source.compatible_models) or "the network they were saved from"
        hint = (
            "load_weights(..., skip_head=True) loads all but the classifier"
            if only_head
            else f"{source.name} weights fit {compatible_models}"
        )
        raise MismatchError(f"{path} does not fit {model.name}: {lists}; {hint}", missing, unexpected, misshaped)
    broken = ["/".join(key) for key in wanted if not are_weights(tensors[key], key[1])]
    if broken:
        raise UserError(f"{path} holds values that are no weights (integers, NaN, negative variances), in {shown(broken)}")
    for key, weight in wanted.items():
        weight.assign(tensors[key])


def are_weights(array, variable):
    """Whether these are finite floating point numbers and, where they are variances, not negative."""
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        return False
    array = array.astype(np.float32)
    return bool(np.all(np.isfinite(array))) and not (variable == "moving_variance" and np.any(array < 0))


def shown(names, most=5):
    """The names, or the first of them and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{comma_join(name.encode('unicode_escape').decode() for name in names[:most])}{rest}"
