"""SavedModel folders, by Keras' own export archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import keras

from keras_resnet.files import tf_errors_as_oserror
from keras_resnet.metadata import SAVED_MODEL_MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

from . import decoding

SERVING_DEFAULT, IMAGE_BYTES = "serving_default", "image_bytes"  # signatures


def endpoints(serve: Any, preprocessing: Preprocessing) -> dict[str, Any]:
    """Returns the `tf.function`s that a SavedModel offers: `serve`, on raw pixels, and one on image files.

    The latter, `image_bytes`, takes string (N,) and prepares the images as evaluation does, except for their EXIF orientation
    (see `decoding.image_bytes_signature`). Networks with other than 1 or 3 channels do not have it.
    """
    if preprocessing.channels not in decoding.CHANNELS:
        return {"serve": serve}
    return {"serve": serve, IMAGE_BYTES: decoding.image_bytes_signature(serve, preprocessing)}


def make_archive(model: keras.Model, endpoints: Mapping[str, Any]) -> keras.export.ExportArchive:
    """Collects the model's variables and a signature for each `{name: tf.function}`; the first is also `serving_default`."""
    archive = cast(keras.export.ExportArchive, keras.export.ExportArchive())  # whose __new__ is the backend's class
    archive.track(model)
    for name, function in endpoints.items():
        archive.add_endpoint(name, function)
    return archive


def write_archive(archive: keras.export.ExportArchive, path: Path, metadata: ClassifierMetadata | None = None) -> None:
    """Writes a SavedModel folder, with the classifier's metadata in `assets.extra` where there are any."""
    with tf_errors_as_oserror():
        archive.write_out(str(path), verbose=False)
    if metadata:
        record = path / SAVED_MODEL_MEMBER
        record.parent.mkdir()
        record.write_text(metadata.to_json(), encoding="utf-8")
