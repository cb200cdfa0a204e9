"""Builds or loads the network that a run trains, whole or condensed, with its preprocessing in front."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import keras

import keras_resnet
from keras_resnet.class_names import first_difference
from keras_resnet.classifier import with_preprocessing
from keras_resnet.errors import UserError
from keras_resnet.metadata import Origin
from keras_resnet.models import builder, variants
from keras_resnet.models.options import ModelOptions
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.recorded import record_on
from keras_resnet.weights.availability import check_available

from ..config import TrainConfig
from .condensed import CondensedRun, Condenser
from .preflight import metadata_of


class NetworkConfig(Protocol):
    """The fields of a configuration that say which network it is about."""

    @property
    def model(self) -> str: ...
    @property
    def variations(self) -> dict[str, str | None]: ...
    @property
    def options(self) -> ModelOptions: ...


def build_classifier(config: NetworkConfig, preprocessing: Preprocessing, classes: int) -> keras.Model:
    """Builds a network from raw pixels 0 to 255, (N, H, W, C), to class probabilities, (N, classes)."""
    pixels = keras.Input(preprocessing.shape, name="pixels")
    return build_model(config, classes, input_tensor=preprocessing.layer()(pixels))


def condensed_classifier(
    config: NetworkConfig, preprocessing: Preprocessing, classes: int
) -> tuple[keras.Model, list[CondensedRun]]:
    """Builds the same, up to the logits and with one unit for each run of alike ones, which are returned too."""
    pixels = keras.Input(preprocessing.shape, name="pixels")
    return condensed_model(config, classes, input_tensor=preprocessing.layer()(pixels))


def pretrained_classifier(config: TrainConfig, classes: int) -> tuple[keras.Model, Preprocessing, Origin | None]:
    """Builds a classifier with the weights of `config.weights`; returns also their preprocessing, and whose they are."""
    assert config.weights
    check_available(config.weights, config.model, **config.variations, width_multiplier=config.options.width_multiplier)
    network = build_model(config, classes, input_shape=(None, None, channels_of(config.model, config.weights)))
    keras_resnet.load_weights(network, config.weights, skip_head=config.skip_head)
    preprocessing, origin = record_on(network)
    if preprocessing is None:
        raise UserError(
            f"{config.weights} does not say how its images are prepared; `keras-resnet import --preprocessing=...`, or "
            "keras_resnet.save_classifier(..., preprocessing=...), makes a .keras file of it that does"
        )
    if config.image_size:
        preprocessing = dataclasses.replace(preprocessing, height=config.image_size, width=config.image_size)
    rgb = dataclasses.replace(preprocessing, channel_order="rgb")
    return with_preprocessing(network, preprocessing), rgb, origin


def channels_of(model: str, weights: str) -> int:
    """3, unless the weights are trained ones of this package, or in a classifier of it, for grayscale images."""
    classifier = metadata_of(model, weights)
    return classifier.preprocessing.channels if classifier else 3


def check_kept_head(config: TrainConfig, class_names: Sequence[str]) -> None:
    """Raises a `UserError` if the weights' classifier, which is kept, is for other classes than those of the data set.

    Loading the weights says it where their number differs.
    """
    classifier = metadata_of(config.model, config.weights) if config.weights and not config.skip_head else None
    if classifier is None or len(classifier.labels) != len(class_names):
        return
    if different := first_difference(classifier.labels, class_names):
        known, found = different
        raise UserError(
            f"the weights {config.weights} have other class names than dataset {config.dataset!r}, or another order of them: "
            f"{known!r} instead of {found!r}; --skip_head leaves their classifier out"
        )


def build_model(config: NetworkConfig, classes: int, **arguments: Any) -> keras.Model:
    """Calls the constructor of the network that `config` names; arguments: further ones of it."""
    options = dataclasses.asdict(config.options)
    return getattr(keras_resnet, config.model)(classes=classes, **config.variations, **options, **arguments)


def condensed_model(config: NetworkConfig, classes: int, **inputs: Any) -> tuple[keras.Model, list[CondensedRun]]:
    """Builds the network that `config` names, condensed: see `Condenser`. inputs: input_tensor or input_shape."""
    condenser = Condenser()
    model = builder.build(
        variants.with_overrides(variants.get_variant(config.model), **config.variations),
        config.options,
        include_top=True,
        pooling=None,
        classes=classes,
        classifier_activation=None,
        name=f"{config.model.lower()}_condensed",
        add_units=condenser.add_units,
        **{"input_tensor": None, "input_shape": None, **inputs},
    )
    return model, condenser.runs


@contextlib.contextmanager
def dtype_policy_scope(policy: str) -> Iterator[None]:
    """Layers that are made inside compute in `policy`; their weights are float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
