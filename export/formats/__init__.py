"""The file formats: one folder with one `Format` for each. A new one is a folder beside these and a row here."""

from typing import Any

from .format import Format, ReadableFormat
from .keras_file import KERAS, PRETRAINED
from .onnx.format import ONNX
from .saved_model.format import SAVED_MODEL
from .tflite.format import TFLITE
from .web.format import WEB

FORMATS: dict[str, Format[Any]] = {format.name: format for format in (SAVED_MODEL, TFLITE, ONNX, WEB)}  # in the order of export
DEFAULT_FORMATS = ("saved_model", "tflite", "onnx")
# The last takes any other folder.
READABLE_FORMATS: tuple[ReadableFormat, ...] = (KERAS, PRETRAINED, TFLITE, ONNX, WEB, SAVED_MODEL)
LIBRARIES = tuple(library for format in READABLE_FORMATS for library in format.libraries)  # whose versions reports state
