"""Catches one artifact that cannot be made and costs the others, and what an export leaves behind on odd machines."""

import json

import keras
import numpy as np
import pytest
from life.machines import ended_process, leftover

from keras_resnet import UserError, files
from keras_resnet.export import pipeline
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.formats.onnx.format import OnnxFormat
from keras_resnet.export.formats.tflite import conversion
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier

IMAGES, TARGETS = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype(np.uint8), np.arange(8) % 2


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "model.keras"
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Activation("softmax")(keras.layers.Dense(2)(x)))
    write_classifier(model, path, ClassifierMetadata("Tiny", "none", ("a", "b"), Preprocessing(8, 8, 1, (0.5,), (0.5,))))
    return path


def broken(*arguments, **options):
    raise RuntimeError("op of an odd\nkind")


def export(config):
    return pipeline.export(config, load_source_model(config.model_path), IMAGES, TARGETS)


def test_an_artifact_that_cannot_be_made_costs_no_other_and_is_named(classifier, tmp_path, monkeypatch):
    """Its conversion ended the whole export in a traceback, or in the advice to leave its format out of --formats."""
    old = leftover(tmp_path / "saved_model", files.OLD, ended_process())
    (tmp_path / "model_failed.tflite").touch()
    monkeypatch.setattr(conversion, "convert", broken)
    result = export(ExportConfig(classifier, tmp_path / "out", ("tflite", "onnx"), ("none",)))
    assert [(one.name, one.failures) for one in result.failed] == [("tflite", ["cannot be made: RuntimeError: op of an odd"])]
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(one["name"], one["passed"], one["bytes"] > 0) for one in record["artifacts"]] == [
        ("tflite", False, False), ("onnx", True, True),
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "labels.txt", "model.onnx", "README.md", "report.html", "report.json", "selftest.npz", "verify.py",
    }  # fmt: skip
    assert old.exists(), "of another folder"


def test_an_export_of_which_nothing_can_be_made_is_refused(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "convert", broken)
    monkeypatch.setattr(OnnxFormat, "convert", lambda *_: (_ for _ in ()).throw(UserError("no such operator")))
    with pytest.raises(RuntimeError, match="odd"):
        export(ExportConfig(classifier, tmp_path / "out", ("tflite", "onnx"), ("none",)))
    with pytest.raises(UserError, match="no such operator"):
        export(ExportConfig(classifier, tmp_path / "out", ("onnx",), ("none",)))
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_no_failure_of_one_artifact(classifier, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "convert", full)
    with pytest.raises(OSError, match="No space left") as raised:
        export(ExportConfig(classifier, tmp_path / "out", ("tflite", "onnx"), ("none",)))
    assert raised.value.filename == str(tmp_path / "out")
    assert not (tmp_path / "out").exists()
