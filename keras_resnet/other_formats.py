"""Says what a file is that was given for a `.keras` file, and how to make one of it."""

import os
from pathlib import Path

import h5py

from keras_resnet.archives import open_archive, read_member
from keras_resnet.errors import UserError
from keras_resnet.foreign_files import check_is_file, library_errors
from keras_resnet.records import parse_json

MADE_FROM_KERAS = {".tflite": "a LiteRT model", ".onnx": "an ONNX model", ".pb": "a TensorFlow graph"}
PYTORCH = (".pth", ".pt", ".th", ".safetensors", ".ckpt", ".bin")


def check_not_other_format(path: str | os.PathLike[str]) -> None:
    """Raises a `UserError` for a model or weights of another format; what is neither is left to whoever reads the file."""
    if advice := describe(Path(path)):
        raise UserError(f"{path} is not a .keras file: {advice}")


def describe(path: Path) -> str:
    """What the file or folder is, and what to do; "" for what is not known, or is a `.keras` file."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return (
                "it is a SavedModel, from which the layers cannot be read; take the .keras file that it was made from, "
                "or load it with the Keras that saved it, and save it with the suffix .keras"
            )
        return "it is a folder"
    if not path.is_file():
        return ""
    check_is_file(path)
    if h5py.is_hdf5(path):
        with library_errors(path), h5py.File(path) as file:
            if "model_config" in file.attrs:
                return (
                    f"it is a model in HDF5; keras.saving.load_model({path.name!r}).save({f'{path.stem}.keras'!r}) converts it"
                )
        return "it holds weights only; load them into their model and save that, or see keras-resnet import"
    if path.suffix in PYTORCH:
        return "it is a file of PyTorch; see keras-resnet import"
    if path.suffix in MADE_FROM_KERAS:
        return f"it is {MADE_FROM_KERAS[path.suffix]}; take the .keras file that it was made from"
    return ""


def written_by(path: str | os.PathLike[str]) -> str:
    """Which Keras wrote a `.keras` file that cannot be loaded, if it is of another major version than 3; "" otherwise."""
    try:
        with open_archive(path) as archive:
            version = str(parse_json(read_member(path, archive, "metadata.json"))["keras_version"])
    except Exception:  # of a file that is wrong anyway
        return ""
    if version.startswith("3."):
        return ""
    return f"; Keras {version[:20]} wrote it: save its weights there, and load them into the same model in Keras 3"
