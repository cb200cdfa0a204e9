"""The parts of a network, from the stem to the head: which of them are frozen, and how fast each learns."""

import keras

from keras_resnet.models.naming import PARTS, part_of

from ..recipes import Recipe
from .preflight import check_freeze
from .trainable import TrainableNetwork


def parts_of(model: keras.Model) -> list[str]:
    """The parts that a network has, in the order of `PARTS`."""
    present = {part_of(layer.name) for layer in model.layers}
    return [part for part in PARTS if part in present]


def is_norm(layer: keras.Layer) -> bool:
    return isinstance(layer, (keras.layers.BatchNormalization, keras.layers.GroupNormalization))


def freeze(model: keras.Model, recipe: Recipe) -> None:
    """Makes the parts that `recipe` names untrainable. Frozen normalizations also keep their moving statistics."""
    check_freeze(recipe, parts_of(model), model.name)
    for layer in model.layers:
        frozen = part_of(layer.name) in recipe.freeze
        if is_norm(layer) and recipe.norm_layers != "with_parts":
            frozen = recipe.norm_layers == "frozen"
        if frozen:
            layer.trainable = False


def synchronize_norms(model: keras.Model) -> None:
    """Makes normalizations take their statistics over the images of all replicas."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def lr_multipliers(network: TrainableNetwork, layer_decay: float) -> list[float]:
    """Factors on the learning rate, one per trainable variable: 1 in the head, times `layer_decay` for each part before it."""
    factors = {part: layer_decay**depth for depth, part in enumerate(reversed(parts_of(network.model)))}
    parts = [part_of(weight.layer.name) for weight in network.weights if weight.variable.trainable]
    return [factors[part] for part in parts if part]
