"""Stock layers and fast ones: the same network either way, to and from files."""

import json
import os
import re
import zipfile

import keras

from keras_resnet.batch_normalization import BatchNormalization
from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.files import atomic
from keras_resnet.recursion import raise_recursion_limit


def to_stock(model):
    """The same network with `keras.layers.BatchNormalization`: its file loads in plain Keras, without this package."""
    return _with_norms(model, BatchNormalization, keras.layers.BatchNormalization)


def to_fast(model):
    """The same network with our fused `BatchNormalization`."""
    return _with_norms(model, keras.layers.BatchNormalization, BatchNormalization)


def _with_norms(model, old, new):
    """A clone of `model` with its weights, in which every layer that is exactly an `old` has become a `new`."""

    def renew(layer):
        return (new if type(layer) is old else type(layer)).from_config(layer.get_config())

    try:
        clone = keras.models.clone_model(model, clone_function=renew, recursive=True)
    except ValueError as error:
        raise UserError(f"only functional and Sequential models can be converted: {first_line(error)}") from error
    hidden = [layer.name for layer in clone._flatten_layers() if type(layer) is old]
    if hidden:
        raise UserError(f"normalisation inside a wrapper or a layer of your own cannot be converted: {comma_join(hidden)}")
    copy_weights(model, clone)
    if not model.trainable:
        clone.trainable = False
    return clone


def copy_weights(original, copy):
    """Gives a layer or model the weights of another; those that compute with something made of theirs make it anew.

    Keras' `Normalization` is one: it would go on with the mean that it was built with.
    """
    copy.set_weights(original.get_weights())
    for layer in copy._flatten_layers():
        getattr(layer, "finalize_state", lambda: None)()


def load_model(path):
    """Loads a `.keras` file, with stock layers or ours, and gives the fast network. Code inside the file is never run."""
    return to_fast(load_as_saved(path))


def load_as_saved(path):
    """Loads a `.keras` file in the layers that it was saved with."""
    if not os.path.isfile(path):
        raise UserError(f"no file {path}")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not a .keras file, or it is truncated")
    try:
        with zipfile.ZipFile(path) as archive:
            if "config.json" not in archive.namelist():
                raise UserError(f"{path} is not a .keras file")
            raise_recursion_limit(len(json.loads(archive.read("config.json"))["config"].get("layers", ())))
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except UserError:
        raise
    except Exception as error:
        unknown = re.search(r"Could not locate class '(\w+)'", str(error))  # at the end of Keras' words
        if unknown:
            reason = f"it has a layer of its author's own, {unknown[1]}"
        elif "Lambda" in str(error):  # Keras' advice is about arguments that we do not take
            reason = "it has a Lambda layer, whose code is not run"
        else:
            reason = first_line(error)
        raise UserError(f"{path} cannot be loaded: {reason}") from error


def write_classifier(model, path, classifier):
    """Writes a classifier on raw pixels in stock layers, with its labels and preprocessing inside the archive."""
    with atomic(path) as temporary:
        to_stock(model).save(temporary)
        classifier.write_into(temporary)
