"""The file formats: one folder with one `Format` for each. A new one is a folder beside these and a row here."""

from typing import Any

from .format import Format, ReadableFormat
from .keras_file import KERAS
from .onnx.format import ONNX
from .saved_model.format import SAVED_MODEL
from .tflite.format import TFLITE
from .web.format import WEB

FORMATS: dict[str, Format[Any]] = {format.name: format for format in (SAVED_MODEL, TFLITE, ONNX, WEB)}  # in the order of export
DEFAULT_FORMATS = ("saved_model", "tflite", "onnx")
READABLE_FORMATS: tuple[ReadableFormat, ...] = (KERAS, TFLITE, ONNX, WEB, SAVED_MODEL)  # the last takes any other folder
LIBRARIES = tuple(library for format in READABLE_FORMATS for library in format.libraries)  # whose versions reports state
