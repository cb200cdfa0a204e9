"""Runs any artifact on images. Only what a format needs is imported: Keras for `.keras` and for nothing else."""

from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError, first_line
from keras_resnet.metadata import MEMBER, SAVED_MODEL_MEMBER, ClassifierMetadata

from .formats.engines import LiteRT, OnnxRuntime, in_batches


class Predictor:
    """A classifier from a file: `run(images)` gives its raw output, `probabilities(images)` what it stands for."""

    def __init__(self, path):
        self.path = path
        self.classifier = self._read_classifier()
        if self.classifier is None:
            raise UserError(f"{path} carries no labels and preprocessing: it is not a file that keras-resnet wrote")
        self.output = self._open()

    def run(self, images):
        """uint8 (N, H, W, C), 0 to 255 -> float32 (N, classes): `self.output` says whether probabilities or logits."""
        wanted = self.classifier.preprocessing
        if images.shape[1:] != (wanted.height, wanted.width, wanted.channels):
            raise UserError(
                f"{self.path} takes images of {wanted.height}x{wanted.width}x{wanted.channels}, "
                f"these are {'x'.join(map(str, images.shape[1:]))}"
            )
        outputs = in_batches(self._run_batch, images)
        if outputs.shape[1] != len(self.classifier.labels):
            raise UserError(f"{self.path} has {outputs.shape[1]} outputs and {len(self.classifier.labels)} labels")
        return outputs

    def probabilities(self, images):
        scores = self.run(images)
        if self.output != "logits":
            return scores
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def _read_classifier(self):
        return ClassifierMetadata.read_from(self.path)


class KerasPredictor(Predictor):
    def _open(self):
        from keras_resnet.saving import load_model

        self._model = load_model(self.path)
        return "probabilities"

    def _run_batch(self, images):
        return self._model.predict_on_batch(images.astype(np.float32))


class SavedModelPredictor(Predictor):
    def _open(self):
        import tensorflow as tf

        self._model = tf.saved_model.load(str(self.path))  # which its signatures do not keep alive
        self.function = self._model.signatures["serving_default"]
        (output,) = self.function.structured_outputs
        return output

    def _run_batch(self, images):
        import tensorflow as tf

        return self.function(pixels=tf.constant(images))[self.output].numpy()

    def _read_classifier(self):
        record = self.path / SAVED_MODEL_MEMBER
        return ClassifierMetadata.from_json(record.read_text(encoding="utf-8")) if record.is_file() else None


class TFLitePredictor(Predictor):
    def _open(self):
        self._runner = LiteRT(model_path=str(self.path))
        return self._runner.output

    def _run_batch(self, images):
        return self._runner.run(images)


class OnnxPredictor(Predictor):
    def _open(self):
        self._runner = OnnxRuntime(str(self.path))
        return self._runner.output

    def _run_batch(self, images):
        return self._runner.run(images)

    def _read_classifier(self):
        import onnx

        properties = {p.key: p.value for p in onnx.load(self.path, load_external_data=False).metadata_props}
        return ClassifierMetadata.from_json(properties[MEMBER]) if MEMBER in properties else None


KINDS = {".keras": KerasPredictor, ".tflite": TFLitePredictor, ".onnx": OnnxPredictor}


def load_predictor(path):
    """Opens a `.keras`, `.tflite` or `.onnx` file or a SavedModel folder, or raises a `UserError` of one line."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"no file or folder {path}")
    kind = SavedModelPredictor if path.is_dir() else KINDS.get(path.suffix)
    if kind is None:
        raise UserError(f"{path} is not a .keras, .tflite or .onnx file nor a SavedModel folder")
    try:
        return kind(path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be loaded: {first_line(error)}") from error
