"""THE table of what can be exported: one row per format and quantisation."""

import dataclasses
import math

from keras_resnet.errors import UserError, comma_join


@dataclasses.dataclass(frozen=True)
class ExportTarget:
    """One artifact: its format, what became of its numbers, its file.

    max_difference: to Keras' probabilities, what verification allows unless it is told. Quantised networks are judged by
    their accuracy instead.
    """

    format: str
    quantization: str
    file: str
    max_difference: float = math.inf

    @property
    def failed_file(self):
        """The name of one that did not pass."""
        stem, dot, suffix = self.file.partition(".")
        return f"{stem}_failed{dot}{suffix}"


# fmt: off
TARGETS = {
    "saved_model":        ExportTarget("saved_model", "none",         "saved_model", max_difference=1e-4),
    "tflite":             ExportTarget("tflite",      "none",         "model.tflite", max_difference=1e-4),
    "tflite_fp16":        ExportTarget("tflite",      "fp16",         "model_fp16.tflite", max_difference=0.05),
    "tflite_int8_dynamic":ExportTarget("tflite",      "int8_dynamic", "model_int8_dynamic.tflite"),
    "tflite_int8_weight": ExportTarget("tflite",      "int8_weight",  "model_int8_weight.tflite"),
    "tflite_int8":        ExportTarget("tflite",      "int8",         "model_int8.tflite"),
    "tflite_int16x8":     ExportTarget("tflite",      "int16x8",      "model_int16x8.tflite"),
    "onnx":               ExportTarget("onnx",        "none",         "model.onnx", max_difference=1e-4),
    "onnx_fp16":          ExportTarget("onnx",        "fp16",         "model_fp16.onnx", max_difference=0.05),
    "onnx_int8":          ExportTarget("onnx",        "int8",         "model_int8.onnx"),
}
# fmt: on
FORMATS = tuple(dict.fromkeys(kind.format for kind in TARGETS.values()))
QUANTIZATIONS = tuple(dict.fromkeys(kind.quantization for kind in TARGETS.values()))
CALIBRATED = ("int8", "int16x8")  # need images
DEFAULT_QUANTIZATIONS = ("none", "fp16", "int8")


def select_targets(formats, quantizations=None):
    """`{name: ExportTarget}` of all that the formats have of the quantisations; a `UserError` for one that none of them has.

    Without quantisations it is the usual ones, as far as there are.
    """
    if quantizations is None:
        quantizations = [
            name for name in DEFAULT_QUANTIZATIONS if any(name == q and f in formats for f, q in pairs())
        ] or DEFAULT_QUANTIZATIONS
    for what, given, valid in (("format", formats, FORMATS), ("quantization", quantizations, QUANTIZATIONS)):
        unknown = [name for name in given if name not in valid]
        if unknown or not given:
            raise UserError(f"unknown {what} {comma_join(unknown)!r}; the {what}s are {comma_join(valid)}")
    lacking = [name for name in quantizations if not any(q == name and f in formats for f, q in pairs())]
    if lacking:
        has = "; ".join(f"{format_} has {comma_join(q for f, q in pairs() if f == format_)}" for format_ in formats)
        raise UserError(f"there is no {comma_join(lacking)} in {comma_join(formats)}: {has}")
    return {name: kind for name, kind in TARGETS.items() if kind.format in formats and kind.quantization in quantizations}


def pairs():
    return [(kind.format, kind.quantization) for kind in TARGETS.values()]
