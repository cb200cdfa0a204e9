"""The network that a run trains: built or loaded, with its preprocessing in front, parts of it frozen."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import keras

import keras_resnet
from keras_resnet.classifier import with_preprocessing
from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models.naming import PARTS, part_of
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.variants import VARIATIONS
from keras_resnet.preprocessing import Preprocessing, recorded_preprocessing

from .config import TrainConfig
from .recipes import Recipe


class NetworkConfig(Protocol):
    """The fields of a configuration that say which network it is about."""

    @property
    def model(self) -> str: ...
    @property
    def block(self) -> str | None: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def shortcut(self) -> str | None: ...
    @property
    def options(self) -> ModelOptions: ...


def build_classifier(config: NetworkConfig, preprocessing: Preprocessing, classes: int) -> keras.Model:
    """Builds a network from raw pixels 0 to 255, (N, H, W, C), to class probabilities, (N, classes)."""
    pixels = keras.Input(preprocessing.shape, name="pixels")
    return build_model(config, classes, input_tensor=preprocessing.layer()(pixels))


def pretrained_classifier(config: TrainConfig, classes: int) -> tuple[keras.Model, Preprocessing]:
    """Builds the same with the weights of `config.weights` and with their preprocessing, which is returned too."""
    assert config.weights
    network = build_model(config, classes, input_shape=(None, None, channels_of(config.weights)))
    keras_resnet.load_weights(network, config.weights, skip_head=config.skip_head)
    if recorded_preprocessing(network) is None:
        raise UserError(
            f"{config.weights} does not say how its images are prepared; `keras-resnet import --preprocessing=...`, or "
            "keras_resnet.save_classifier(..., preprocessing=...), makes a .keras file of it that does"
        )
    preprocessing = keras_resnet.preprocessing_for(network)
    if config.image_size:
        preprocessing = dataclasses.replace(preprocessing, height=config.image_size, width=config.image_size)
    return with_preprocessing(network, preprocessing), dataclasses.replace(preprocessing, channel_order="rgb")


def channels_of(weights: str) -> int:
    """3, unless the weights are in a classifier of this package for grayscale images."""
    classifier = ClassifierMetadata.read_from(weights) if Path(weights).is_file() else None
    return classifier.preprocessing.channels if classifier else 3


def build_model(config: NetworkConfig, classes: int, **arguments: Any) -> keras.Model:
    """Calls the constructor of the network that `config` names; arguments: further ones of it."""
    options = dataclasses.asdict(config.options)
    variations = {name: getattr(config, name) for name in VARIATIONS}
    return getattr(keras_resnet, config.model)(classes=classes, **variations, **options, **arguments)


@contextlib.contextmanager
def dtype_policy_scope(policy: str) -> Iterator[None]:
    """Layers that are made inside compute in `policy`; their weights are float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def parts_of(model: keras.Model) -> list[str]:
    """The parts that a network has, in the order of `PARTS`."""
    present = {part_of(layer.name) for layer in model.layers}
    return [part for part in PARTS if part in present]


def is_norm(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def freeze(model: keras.Model, recipe: Recipe) -> None:
    """Makes the parts that `recipe` names untrainable. Frozen normalizations also keep their moving statistics."""
    parts = parts_of(model)
    if unknown := [part for part in recipe.freeze if part not in parts]:
        raise UserError(f"freeze names {comma_join(unknown)}; the parts of {model.name} are {comma_join(parts)}")
    for layer in model.layers:
        frozen = part_of(layer.name) in recipe.freeze
        if is_norm(layer) and recipe.norm_layers != "with_parts":
            frozen = recipe.norm_layers == "frozen"
        if frozen:
            layer.trainable = False
    if not model.trainable_variables:
        raise UserError(f"freeze names all parts of {model.name}, {comma_join(parts)}: nothing is left to train")


def synchronize_norms(model: keras.Model) -> None:
    """Makes normalizations take their statistics over the images of all replicas."""
    for layer in model.layers:
        if is_norm(layer):
            layer.synchronized = True


def lr_multipliers(model: keras.Model, layer_decay: float) -> list[float]:
    """Factors on the learning rate, one per trainable weight: 1 in the head, times `layer_decay` for each part before it."""
    factors = {part: layer_decay**depth for depth, part in enumerate(reversed(parts_of(model)))}
    by_variable = {
        id(variable): factors[part]
        for layer in model.layers
        if (part := part_of(layer.name))
        for variable in layer.trainable_variables
    }
    return [by_variable[id(variable)] for variable in model.trainable_variables]
