"""SavedModel, by Keras' own export archive."""

import keras

from keras_resnet.classifier import SAVED_MODEL_MEMBER
from keras_resnet.files import os_errors


def write(serve, model, classifier, path):
    """Writes a folder whose `serving_default` is `serve`, with the classifier's record in `assets.extra`."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve)
    with os_errors():
        archive.write_out(str(path), verbose=False)
    record = path / SAVED_MODEL_MEMBER
    record.parent.mkdir()
    record.write_text(classifier.to_json(), encoding="utf-8")
