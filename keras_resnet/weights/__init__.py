"""Weights from files. For now the networks' own; importers for other people's come here."""

import os
import zipfile

import h5py

from keras_resnet.errors import UserError, one_line


def load_weights(model, path_or_name):
    """Loads a `.weights.h5` or `.keras` file that a network of this zoo wrote; the file's content tells which it is.

    On any mismatch nothing is loaded and a `UserError` says why. Returns the model.
    """
    if not os.path.isfile(path_or_name):
        raise UserError(f"no weights {path_or_name!r}: it is the path of a .weights.h5 or .keras file")
    if not (zipfile.is_zipfile(path_or_name) or h5py.is_hdf5(path_or_name)):
        raise UserError(f"{path_or_name} is neither a .weights.h5 nor a .keras file")
    before = model.get_weights()
    try:
        model.load_weights(path_or_name)
    except Exception as error:
        model.set_weights(before)
        raise UserError(f"{path_or_name} does not fit {model.name}: {one_line(error)}") from error
    return model
