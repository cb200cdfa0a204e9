"""The flags that choose a network, and what they stand for."""

import dataclasses

from keras_resnet.models import variants
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.variants import VARIATIONS
from keras_resnet.training.config import TrainConfig

from .field_help import NETWORK_HELP
from .flags import Flags

OPTIONS = tuple(field.name for field in dataclasses.fields(ModelOptions))


def define_network(flags: Flags, model_default: str = "") -> None:
    """Defines the flags. model_default: what the help says where --model is not simply required."""
    model = dataclasses.replace(NETWORK_HELP["model"], default=model_default)
    flags.define_fields(TrainConfig, ("model", *VARIATIONS), {**NETWORK_HELP, "model": model})
    flags.define_fields(ModelOptions, OPTIONS, NETWORK_HELP)


def check_model(model: str, **variations: str | None) -> None:
    """Refuses an unknown network or variation before TensorFlow is loaded."""
    variants.stage_depths(variants.with_overrides(variants.get_variant(model), **variations))


def model_options(flags: Flags) -> ModelOptions:
    return ModelOptions(**flags.values(OPTIONS))
