"""Writes the artifacts; what several of them are made from is made once."""

import functools

import numpy as np
from onnx import save as save_onnx

from keras_resnet import saving

from .fold.folding import fold
from .formats.engines import run_onnx, run_tflite
from .formats.onnx import model as onnx
from .formats.onnx import quantizer as onnx_quantization
from .formats.saved_model import writer as saved_model
from .formats.tflite import conversion as tflite
from .formats.tflite import quantizer as litert_quantization
from .formats.tflite.metadata import with_metadata
from .sensitivity import sensitive_layers
from .serving import serving_function, truncate_to_logits
from .targets import CALIBRATED, TARGETS

AUTO = ("auto",)


class Writer:
    """config: an `ExportConfig`. folder: for what is only made on the way. kept_float: operators that stayed so, by name."""

    def __init__(self, config, source, calibration, folder):
        self.config, self.classifier, self._source, self._calibration = config, source.metadata, source, calibration
        self._folder, self.kept_float = folder, {}

    def write(self, name, path):
        """Writes an artifact of `artifacts.TARGETS` to `path`."""
        kind = TARGETS[name]
        if kind.format == "saved_model":
            saved_model.write(self._serve, self._model, self.classifier, path)
        elif kind.format == "tflite":
            content = self._tflite("float32" if kind.quantization == "int8" else "uint8")
            content = self._quantized(name, litert_quantization.TFLiteQuantizer, content, run_tflite)
            path.write_bytes(with_metadata(content, self.classifier, **self._about))
        else:
            save_onnx(self._quantized(name, onnx_quantization.OnnxQuantizer, self._onnx, run_onnx), path)

    def _quantized(self, name, quantizer, content, run):
        """What becomes of a float file as the table has it. `run(content, images)`: the outputs of one."""
        quantization = TARGETS[name].quantization
        if quantization == "none":
            return content
        scheme = quantizer(content, quantization, self._images)
        if quantization not in CALIBRATED:
            return scheme.quantize()
        keep = self.config.keep_float
        if keep == AUTO:
            keep = self._sensitive(scheme, run(content, self._images), run)
        self.kept_float[name] = tuple(keep)
        return scheme.quantize(keep)

    def _sensitive(self, scheme, reference, run):
        """The operators without whose quantisation the accuracy on the calibration images drops by no more than allowed."""

        def run_without(kept, count):
            return run(scheme.quantize(kept), self._images[:count])

        labels, most = np.asarray(self._calibration.labels), self.config.max_accuracy_drop
        return sensitive_layers(scheme.operators, run_without, reference, labels, max_accuracy_drop=most)

    @functools.cached_property
    def _images(self):
        return None if self._calibration is None else self._calibration.images[:]

    @functools.cached_property
    def _about(self):
        return {"description": self.config.description, "license": self.config.license}

    @functools.cached_property
    def _model(self):
        """The network that is converted, folded where that is wanted, with the output that is wanted."""
        if self.config.fold:
            return fold(truncate_to_logits(self._source.model, self.config.output))
        return truncate_to_logits(saving.to_fast(self._source.model), self.config.output)

    @functools.cached_property
    def _serve(self):
        return serving_function(self._model, self.config.output)

    def _tflite(self, dtype):
        """The float `.tflite` on pixels of that type, by way of a SavedModel: the artifact, where there is one."""
        path = self._folder / f"{dtype}.tflite"
        if not path.exists():
            saved = self._folder / TARGETS["saved_model"].file
            if dtype != "uint8" or not saved.exists():
                saved = path.with_suffix("")
                serve = serving_function(self._model, self.config.output, dtype)
                saved_model.write_endpoints(self._model, {"serve": serve}, saved)
            path.write_bytes(tflite.convert(saved))
        return path.read_bytes()

    @functools.cached_property
    def _onnx(self):
        layout, opset = self.config.onnx_layout, self.config.opset
        return onnx.model(self._serve, self.classifier, layout=layout, opset=opset, **self._about)
