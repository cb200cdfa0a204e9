"""Converts networks between stock and fast layers, and reads and writes their files."""

import os
import re
import warnings
from collections.abc import Mapping

import keras

from keras_resnet._keras_internals import all_layers, functional_part, is_functional
from keras_resnet.archives import is_archive
from keras_resnet.batch_normalization import BatchNormalization
from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.files import atomic
from keras_resnet.foreign_files import check_is_file
from keras_resnet.group_normalization import GroupNormalization
from keras_resnet.grouped_convolution import Conv2D, without_xla
from keras_resnet.keras_files import check_keras_file
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.other_formats import check_not_other_format, written_by
from keras_resnet.recursion import raise_recursion_limit
from keras_resnet.remote_copies import local
from keras_resnet.standardized_convolution import StandardizedConv2D

FAST = {  # this package's layers, by Keras' of the same configuration
    keras.layers.BatchNormalization: BatchNormalization,
    keras.layers.GroupNormalization: GroupNormalization,
}
STOCK = {fast: stock for stock, fast in FAST.items()} | dict.fromkeys((Conv2D, StandardizedConv2D), keras.layers.Conv2D)


def to_stock(model: keras.Model) -> keras.Model:
    """Copies a network into stock layers, with `keras.layers.BatchNormalization` and `keras.layers.Conv2D`.

    Its file loads in plain Keras, without this package. `preprocessing_for` still works on the returned model, but not on what
    is loaded from its file: `save_classifier` writes a file that knows its preprocessing. Standardized kernels become
    constants: what is trained on from there is no longer standardized.

    Raises:
        UserError: if the model is neither functional nor Sequential, or has normalization inside a wrapper.
    """
    return _with_layers(model, STOCK)


def to_fast(model: keras.Model) -> keras.Model:
    """Copies a network into fast layers, with this package's fused `BatchNormalization` and its `Conv2D` of groups.

    Raises:
        UserError: if the model is neither functional nor Sequential, or has normalization inside a wrapper.
    """
    return _with_layers(model, FAST)


def _with_layers(model: keras.Model, replacements: Mapping[type[keras.Layer], type[keras.Layer]]) -> keras.Model:
    """Clones `model` with its weights, where every layer that is exactly of a class in `replacements` becomes another."""

    def clone_layer(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        record = config.pop("preprocessing", None) if type(layer) in STOCK else None  # Keras' own take no such argument
        own_class = without_xla(layer) if replacements is FAST else type(layer)
        clone = replacements.get(type(layer), own_class).from_config(config)
        if record := record or getattr(layer, "preprocessing", None):
            clone.preprocessing = record  # see `recorded.py`
        return clone

    if not (isinstance(model, keras.Model) and is_functional(functional_part(model))):
        raise UserError(f"only functional and Sequential models can be converted: {describe_model(model)}")
    try:
        clone = keras.models.clone_model(model, clone_function=clone_layer, recursive=True)
        copy_weights(model, clone)
    except Exception as error:  # whatever the constructors and weights of others' layers do
        reason = "a Lambda, whose code is not copied" if "Lambda" in str(error) else first_line(error)
        raise UserError(f"{model.name} has a layer that cannot be copied: {reason}") from error
    hidden = [layer.name for layer in all_layers(clone) if type(layer) in replacements]
    if hidden:
        raise UserError(f"normalization inside a wrapper or a custom layer cannot be converted: {comma_join(hidden)}")
    if not model.trainable:
        clone.trainable = False
    return clone


def describe_model(model: object) -> str:
    """What a model is that does not show its graph."""
    if isinstance(model, keras.Sequential):
        return f"{model.name} was never built; begin it with an Input, or call it on an image"
    if isinstance(model, keras.Model):
        return f"{model.name} is a {type(model).__name__}, which does not show what its layers read"
    return f"{model!r} is not a model"


def copy_weights(original: keras.Layer, copy: keras.Layer) -> None:
    """Copies the weights of a layer or model to another, and updates what layers derive from their weights.

    Keras' `Normalization` is one of those: it would go on with the mean that it was built with.
    """
    copy.set_weights(original.get_weights())
    with_weights = ([layer for layer in all_layers(model) if layer.weights] for model in (original, copy))
    for old, new in zip(*with_weights, strict=True):  # a copy may scale images first
        if isinstance(old, StandardizedConv2D) and not isinstance(new, StandardizedConv2D):
            new.kernel.assign(old.standardized_kernel())
    for layer in all_layers(copy):
        getattr(layer, "finalize_state", lambda: None)()


def load_model(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a `.keras` file, with stock or fast layers, as a fast network. Code inside the file is never run.

    The path may be a URL such as "gs://bucket/model.keras".

    Raises:
        UserError: if the file cannot be loaded or converted.
    """
    return to_fast(load_as_saved(path))


def load_as_saved(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a `.keras` file with the layers that it was saved with. Code inside the file is never run.

    Raises:
        UserError: if the file cannot be loaded.
    """
    path = local(path)
    check_not_other_format(path)
    check_is_file(path)
    if not is_archive(path):
        raise UserError(f"{path} is not a .keras file, or it is truncated")
    raise_recursion_limit(check_keras_file(path))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping nested container")  # layers without weights are an error, too
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise UserError(f"{path} cannot be loaded: {reason(error)}{written_by(path)}") from error
    if not isinstance(model, keras.Model):
        raise UserError(f"{path} holds a {type(model).__name__}, not a model")
    return model


def reason(error: Exception) -> str:
    """What Keras says at the end of its message, after a configuration and advice about arguments that we do not take."""
    if unknown := re.search(r"Could not locate class '(\w+)'", str(error)):
        if unknown[1] in ("TFOpLambda", "SlicingOpLambda"):
            return f"it calls a function of TensorFlow, which Keras 2 stored as {unknown[1]} and Keras 3 does not know"
        return f"it has a custom layer, {unknown[1]}"
    if "Lambda" in str(error):
        return "it has a Lambda layer, whose code is not run"
    if unloaded := re.search(r"could not be loaded\. Example error message for object <(.+?)>:\s+(.+)", str(error)):
        return f"{unloaded[1]}: {unloaded[2].strip()}"
    encountered = re.findall(r"Exception encountered: (.+)", str(error))  # of layers inside of models, several
    return encountered[-1].strip() if encountered else first_line(error)


def write_classifier(model: keras.Model, path: str | os.PathLike[str], metadata: ClassifierMetadata) -> None:
    """Writes a classifier of raw pixels in stock layers, with its metadata inside the archive."""
    with atomic(path) as temporary:
        to_stock(model).save(temporary)
        metadata.write_into(temporary)
