"""SavedModel, by Keras' own export archive."""

import keras

from keras_resnet.files import tf_errors_as_oserror
from keras_resnet.metadata import SAVED_MODEL_MEMBER

from . import decoding

PIXELS, BYTES = "serving_default", "image_bytes"  # signatures


def write(serve, model, classifier, path):
    """Writes a folder with two signatures, and the classifier's record in `assets.extra`.

    `serving_default` is `serve`, on raw pixels; `image_bytes` takes picture files, string (N,), and prepares them as
    evaluation does, but for their EXIF orientation (see `decoding.image_bytes_signature`). Networks of other than 1 or 3 channels
    have no second one.
    """
    endpoints = {"serve": serve}  # the first one is also `serving_default`
    if classifier.preprocessing.channels in decoding.CHANNELS:
        endpoints[BYTES] = decoding.image_bytes_signature(serve, classifier.preprocessing)
    write_endpoints(model, endpoints, path)
    record = path / SAVED_MODEL_MEMBER
    record.parent.mkdir()
    record.write_text(classifier.to_json(), encoding="utf-8")


def write_endpoints(model, endpoints, path):
    """Writes a folder with a signature for each `{name: tf.function}`."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, function in endpoints.items():
        archive.add_endpoint(name, function)
    with tf_errors_as_oserror():
        archive.write_out(str(path), verbose=False)
