"""The network that a run trains: built or brought from elsewhere, with its preprocessing in front, parts of it frozen."""

import contextlib
import dataclasses
from pathlib import Path

import keras

import keras_resnet
from keras_resnet.classifier import with_preprocessing
from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata

from .recipes import PARTS


def build_classifier(config, preprocessing, classes):
    """Raw pixels 0 to 255 in, (N, H, W, C); class probabilities out, (N, classes)."""
    pixels = keras.Input((preprocessing.height, preprocessing.width, preprocessing.channels), name="pixels")
    return build_model(config, classes, input_tensor=preprocessing.layer()(pixels))


def pretrained_classifier(config, classes):
    """The same with the weights of `config.weights`, and with their preprocessing, which is returned too."""
    network = build_model(config, classes, input_shape=(None, None, channels_of(config.weights)))
    keras_resnet.load_weights(network, config.weights, skip_head=config.skip_head)
    preprocessing = keras_resnet.preprocessing_for(network)
    if config.image_size:
        preprocessing = dataclasses.replace(preprocessing, height=config.image_size, width=config.image_size)
    return with_preprocessing(network, preprocessing), dataclasses.replace(preprocessing, channel_order="rgb")


def channels_of(weights):
    """3, unless the weights are in a classifier of this zoo that takes grey pictures."""
    classifier = ClassifierMetadata.read_from(weights) if Path(weights).is_file() else None
    return classifier.preprocessing.channels if classifier else 3


def build_model(config, classes, **arguments):
    options = dataclasses.asdict(config.options)
    names = ("block", "unit", "shortcut")
    return getattr(keras_resnet, config.model)(
        classes=classes, **{name: getattr(config, name) for name in names}, **options, **arguments
    )


@contextlib.contextmanager
def dtype_policy_scope(policy):
    """Layers that are made inside compute in `policy`; their weights are float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def part_of(layer):
    """The part of a network that a layer belongs to, of `PARTS`; None for what comes before them."""
    part = layer.name.partition("_")[0]
    return part if part in PARTS else None


def parts_of(model):
    present = {part_of(layer) for layer in model.layers}
    return [part for part in PARTS if part in present]


def is_norm(layer):
    return isinstance(layer, keras.layers.BatchNormalization)


def freeze(model, recipe):
    """Makes the parts that `recipe` names untrainable. A frozen normalisation also leaves its moving statistics alone."""
    parts = parts_of(model)
    if unknown := [part for part in recipe.freeze if part not in parts]:
        raise UserError(f"freeze names {comma_join(unknown)}; the parts of {model.name} are {comma_join(parts)}")
    for layer in model.layers:
        frozen = part_of(layer) in recipe.freeze
        if is_norm(layer) and recipe.norm_layers != "with_parts":
            frozen = recipe.norm_layers == "frozen"
        if frozen:
            layer.trainable = False
    if not model.trainable_variables:
        raise UserError(f"freeze names all parts of {model.name}, {comma_join(parts)}: nothing is left to train")


def synchronize_norms(model):
    """Normalisations take their statistics over the images of all replicas."""
    for layer in model.layers:
        if is_norm(layer):
            layer.synchronized = True


def lr_multipliers(model, layer_decay):
    """Factors on the learning rate, one for each trainable weight: 1 in the head, `layer_decay` less in each part before."""
    parts = parts_of(model)[::-1]
    factors = {
        id(variable): layer_decay ** parts.index(part_of(layer))
        for layer in model.layers
        for variable in layer.trainable_variables
    }
    return [factors[id(variable)] for variable in model.trainable_variables]
