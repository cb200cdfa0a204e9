"""Weights from files. For now the networks' own; importers for other people's come here."""

import io
import os
import tempfile
import zipfile
from pathlib import Path

import h5py

from keras_resnet.errors import UserError, choices, one_line


def load_weights(model, path_or_name):
    """Loads a `.weights.h5` or `.keras` file that a network of this zoo wrote; the file's content tells which it is.

    Every layer with weights must be in the file under its name, and no other. On any mismatch nothing is loaded and a
    `UserError` says why. Returns the model.
    """
    path = os.fspath(path_or_name)
    if not os.path.isfile(path):
        raise UserError(f"no weights {path!r}: it is the path of a .weights.h5 or .keras file")
    if not (zipfile.is_zipfile(path) or h5py.is_hdf5(path)):
        raise UserError(f"{path} is neither a .weights.h5 nor a .keras file")
    before = model.get_weights()
    try:
        refuse_other_layers(model, path)
        with tempfile.TemporaryDirectory() as folder:  # Keras goes by the name
            link = Path(folder, "file.keras" if zipfile.is_zipfile(path) else "file.weights.h5")
            link.symlink_to(os.path.abspath(path))
            model.load_weights(link)
    except UserError:
        raise
    except Exception as error:
        model.set_weights(before)
        raise UserError(f"{path} does not fit {model.name}: {one_line(error)}") from error
    return model


def refuse_other_layers(model, path):
    """Raises a `UserError` that lists missing and unexpected layers: Keras itself goes by their order alone."""
    wanted = {layer.name for layer in model.layers if layer.weights}
    found = layer_names(path)
    missing, unexpected = sorted(wanted - found), sorted(found - wanted)
    if missing or unexpected:
        raise UserError(
            f"{path} does not fit {model.name}: missing {choices(missing[:5]) or 'nothing'} ({len(missing)}), "
            f"unexpected {choices(unexpected[:5]) or 'nothing'} ({len(unexpected)})"
        )


def layer_names(path):
    """The names of the layers that have weights in a file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            path = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(path) as file:
        groups = [group["vars"] for group in file.get("layers", {}).values() if "vars" in group]
        return {str(group.attrs["name"]) for group in groups if len(group)}
