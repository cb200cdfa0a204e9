"""SavedModel, by Keras' own export archive."""

import keras

from keras_resnet.classifier import MEMBER
from keras_resnet.files import os_errors

EXTRA = "assets.extra"  # TensorFlow's name for files that it keeps and does not read


def write(serve, model, classifier, path):
    """Writes a folder whose `serving_default` is `serve`, with the classifier's record in `assets.extra`."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve)
    with os_errors():
        archive.write_out(str(path), verbose=False)
    extra = path / EXTRA
    extra.mkdir()
    (extra / MEMBER).write_text(classifier.to_json(), encoding="utf-8")
