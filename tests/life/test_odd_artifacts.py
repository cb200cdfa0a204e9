"""Catches an artifact that ends the command, or is refused in words that do not help."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_refused, only
from life.artifacts import BAD_ARTIFACTS, LABELS, METADATA, SIDE, write_onnx

from keras_resnet import UserError
from keras_resnet.export.isolation.process import ArtifactProcess, open_predictor
from keras_resnet.export.runtime import load_predictor
from keras_resnet.metadata import SAVED_MODEL_MEMBER

ABORT = "import os; os.write(2, b'x' * 10**6 + b'\\nlast words\\n'); os.abort()"
IMAGES = np.full((70, SIDE, SIDE, 1), 2, np.uint8)


@pytest.mark.parametrize("kind", BAD_ARTIFACTS)
def test_a_bad_artifact_is_refused_in_one_line_that_names_it(kind, tmp_path):
    suffix, write, message = BAD_ARTIFACTS[kind]
    path = tmp_path / f"bad{suffix}"
    write(path)
    with pytest.raises(UserError, match=message) as refused:
        load_predictor(path).run(IMAGES[:2])
    assert str(path) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["fails when run", "external data missing"])
def test_predict_says_in_one_line_what_its_process_found(kind, tmp_path, in_process):
    suffix, write, message = BAD_ARTIFACTS[kind]
    write(tmp_path / f"bad{suffix}")
    tf.io.write_file(str(tmp_path / "a.png"), tf.io.encode_png(IMAGES[0]))
    assert_refused(in_process("predict", f"--model_path={tmp_path / f'bad{suffix}'}", tmp_path / "a.png"), message)


def test_a_process_gives_what_the_file_gives_in_batches(tmp_path):
    path = write_onnx(tmp_path / "good.onnx")
    with open_predictor(path) as predictor:
        found, inspection = only(predictor.run(IMAGES)), predictor.inspect()
    assert predictor.metadata == METADATA
    np.testing.assert_array_equal(found, only(load_predictor(path).run(IMAGES)))
    assert inspection.operators["Softmax"] == 1


def test_the_death_of_a_runtime_is_one_line(tmp_path):
    """One byte of an int8 .tflite ended predict by SIGABRT, without a word."""
    with ArtifactProcess(write_onnx(tmp_path / "good.onnx")) as process:
        predictor = process.predictor
        process._process.kill()
        process._process.wait()
        with pytest.raises(UserError, match=r"good\.onnx cannot be run: its process was killed by SIGKILL: the file"):
            predictor.run(IMAGES)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise MemoryError('no room')", r"ended with exit status 1 \(MemoryError: no room\)"),
        (ABORT, r"was killed by SIGABRT \(last words\): the file"),
        ("", "ended with exit status 0"),
    ],
)
def test_a_runtime_that_ends_before_it_has_opened_the_file_is_quoted(program, message, tmp_path, monkeypatch):
    process = ArtifactProcess(tmp_path / "any.onnx")
    monkeypatch.setattr(process, "_command", [sys.executable, "-S", "-c", program])
    with process, pytest.raises(UserError, match=rf"any\.onnx cannot be run: its process {message}"):
        process.predictor  # noqa: B018


def test_a_saved_model_without_a_signature_is_named(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"))
    record = tmp_path / "m" / SAVED_MODEL_MEMBER
    record.parent.mkdir()
    record.write_text(METADATA.to_json())
    with pytest.raises(UserError, match=r"m cannot be loaded: it has no signature serving_default"):
        load_predictor(tmp_path / "m")


def test_labels_with_escape_codes_are_not_acted_on(tmp_path, in_process):
    path = write_onnx(tmp_path / "m.onnx", labels=("a\n\x1b[2Jb", "c" * 10**6, LABELS[2]))
    tf.io.write_file(str(tmp_path / "a.png"), tf.io.encode_png(np.zeros_like(IMAGES[0])))
    done = in_process("predict", f"--model_path={path}", tmp_path / "a.png")
    shown = f"{'c' * 135}... (1,000,000 characters) ...{'c' * 135}"
    assert done.out == f"{tmp_path / 'a.png'}: a\\n\\x1b[2Jb 0.3333, {shown} 0.3333, emu 0.3333\n"


def test_what_cannot_be_looked_at_is_named_in_code_too(tmp_path):
    """A folder without permission raised PermissionError; a name that is too long stands for it, which root is told of too."""
    with pytest.raises(UserError, match="cannot be read: File name too long"):
        load_predictor(tmp_path / ("x" * 300 + ".onnx"))
