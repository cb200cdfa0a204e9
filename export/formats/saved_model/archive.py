"""SavedModel folders: the signatures of a classifier, and each of its weights once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_resnet.files import tf_errors_as_oserror
from keras_resnet.metadata import SAVED_MODEL_MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

from . import decoding
from .warmup import write_warmup

SERVING_DEFAULT, IMAGE_BYTES = "serving_default", "image_bytes"  # signatures


def endpoints(serve: Any, preprocessing: Preprocessing) -> dict[str, Any]:
    """Returns the `tf.function`s that a SavedModel offers: `serve`, on raw pixels, and one on image files.

    The latter, `image_bytes`, takes string (N,) and prepares the images as evaluation does (see
    `decoding.image_bytes_signature`). Networks with other than 1 or 3 channels do not have it.
    """
    if preprocessing.channels not in decoding.CHANNELS:
        return {SERVING_DEFAULT: serve}
    return {SERVING_DEFAULT: serve, IMAGE_BYTES: decoding.image_bytes_signature(serve, preprocessing)}


def write_archive(endpoints: Mapping[str, Any], path: Path, metadata: ClassifierMetadata | None = None) -> None:
    """Writes a SavedModel folder; where there are metadata of the classifier, with them and with requests to warm up with.

    Keras' `ExportArchive` is not used, because it stores each weight twice: its `track(model)` stores Keras' variables, and its
    endpoints those of TensorFlow inside them. It also traces each function twice, and stores both traces.

    Args:
        endpoints: A `tf.function` with an input signature for each signature, `serving_default` among them. That one is also
            the attribute `serve` of the loaded object, as Keras' `TFSMLayer` expects.
        path: The folder.
        metadata: Of the classifier.
    """
    # TensorFlow traces a `tf.function` again while it saves. What is traced already is taken as it is.
    functions = {name: function.get_concrete_function() for name, function in endpoints.items()}
    variables = list({id(variable): variable for function in functions.values() for variable in function.variables}.values())
    root = tf.train.Checkpoint(
        serve=functions[SERVING_DEFAULT],
        variables=variables,
        trainable_variables=[variable for variable in variables if variable.trainable],
    )
    with tf_errors_as_oserror():
        tf.saved_model.save(root, str(path), signatures=functions)
        if metadata:
            record = path / SAVED_MODEL_MEMBER
            record.parent.mkdir()
            record.write_text(metadata.to_json(), encoding="utf-8")
            inputs = {name: only_input(function) for name, function in functions.items()}
            write_warmup(path, inputs, metadata.preprocessing)


def only_input(function: Any) -> tf.TensorSpec:
    """The one input of a concrete function."""
    [specification] = tf.nest.flatten(function.structured_input_signature)
    return specification
