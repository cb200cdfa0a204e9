"""Catches a command that takes a URL for a local path, that calls half an upload an export, or that names its own copies."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_refused, keras_resnet_command
from life.selftests import write_export

import keras_resnet
from keras_resnet.errors import UserError
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.remote import RemotePath, as_path


@pytest.fixture(scope="module")
def model_path():
    """The URL of an untrained classifier of the digits."""
    preprocessing = Preprocessing(8, 8, 1, (0.5,), (0.2,))
    model = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classes=10, width_multiplier=0.25)
    url = "ram://models/digits/model.keras"
    keras_resnet.save_classifier(model, url, map(str, range(10)), preprocessing, "digits")
    return url


@pytest.fixture
def uploaded(tmp_path):
    """The URL of a small export with its record."""
    folder, url = write_export(tmp_path / "export"), RemotePath(f"ram://exports/{tmp_path.name}")
    (folder / "report.json").write_text(json.dumps({"model": "Net", "dataset": "", "artifacts": [], "versions": {}}))
    url.upload(folder)
    return url


def test_a_model_at_a_url_is_evaluated_exported_and_verified(model_path, in_process, tmp_path, monkeypatch):
    """Catches an upload that was cut off and passes for an export, or that cannot be made again."""
    monkeypatch.chdir(tmp_path)
    upload, folder = RemotePath.upload, "ram://exports/digits"
    flags = (f"--model_path={model_path}", f"--output_dir={folder}", "--formats=tflite", "--quantize=none")
    flags += ("--verification_images=40", "--selftest_images=8")

    def cut_at_the_artifact(self, source):
        if self.name == "model.tflite":
            raise OSError(5, "the connection was lost", str(self))
        upload(self, source)

    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "upload", cut_at_the_artifact)
        assert_refused(in_process("export", *flags), f"the connection was lost ({folder}/model.tflite)")
    cut = f"{folder} has a report.json that says it is unfinished: its upload has not ended, or was cut off; export it again"
    assert_refused(in_process("verify", folder), cut)
    done = in_process("export", *flags)
    assert (done.returncode, done.err) == (0, "")
    assert f"report: {folder}/report.html" in done.out
    record = json.loads(as_path(f"{folder}/report.json").read_bytes())
    assert (record["source_path"], "unfinished" in record) == (model_path, False)
    names = {"labels.txt", "model.tflite", "README.md", "report.html", "report.json", "selftest.npz", "verify.py"}
    assert {*tf.io.gfile.listdir(folder)} == names
    for path in (f"{folder}/", f"{folder}/model.tflite"):
        done = in_process("verify", path)
        assert (done.returncode, done.err) == (0, "")
        assert "1 of 1 artifacts passed, on 8 images." in done.out
    answers = [in_process("evaluate", f"--model_path={path}") for path in (model_path, f"{folder}/model.tflite")]
    assert [(done.returncode, done.err) for done in answers] == [(0, "")] * 2
    assert answers[0].out == answers[1].out
    assert os.listdir(tmp_path) == []


def test_a_whole_export_passes_and_one_without_a_record_is_refused(uploaded, in_process):
    assert in_process("verify", uploaded).returncode == 0
    (uploaded / "report.json").unlink()
    assert_refused(in_process("verify", uploaded), f"{uploaded} has no report.json of an export: its upload has not ended")


def test_a_file_of_another_upload_does_not_pass(uploaded, tmp_path, in_process):
    shutil.copy(tmp_path / "export" / "model_int8.onnx", tmp_path / "other.onnx")
    (uploaded / "model.onnx").upload(tmp_path / "other.onnx")
    done = in_process("verify", uploaded)
    assert (done.returncode, done.err) == (1, "")
    assert "model.onnx is not the file that was exported: its digest is another one" in done.out


def test_a_mistake_names_the_url_and_not_the_copy(uploaded, in_process):
    (uploaded / "selftest.npz").append_text("not at the end of an archive" * 5000)
    assert_refused(in_process("verify", uploaded), f"{uploaded}/selftest.npz ")
    assert_refused(in_process("evaluate", f"--model_path={uploaded}/none.keras"), f"no file or folder {uploaded}/none.keras")
    with pytest.raises(UserError, match=f"no file or folder {uploaded}/none.keras"):
        keras_resnet.load_model(f"{uploaded}/none.keras")


def test_weights_and_a_configuration_at_a_url(in_process, tmp_path):
    """Catches a file that is looked for in a folder `ram:`."""
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    model = keras_resnet.ResNet20V2(classes=2, width_multiplier=0.25)
    model.save_weights(tmp_path / "own.weights.h5")
    as_path("ram://models/own.weights.h5").upload(tmp_path / "own.weights.h5")
    flags = (
        "--model=ResNet20V2",
        "--width_multiplier=0.25",
        f"--labels={tmp_path / 'labels.txt'}",
        "--preprocessing=akamaster_cifar10",
    )
    flags += ("--weights=ram://models/own.weights.h5", "--output_path=ram://models/imported.keras")
    done = in_process("import", *flags)
    assert (done.returncode, done.err) == (0, "")
    assert done.out.startswith("the classifier is ram://models/imported.keras: ")
    classifier = keras_resnet.load_classifier("ram://models/imported.keras")
    np.testing.assert_array_equal(classifier.get_layer("stem_conv").kernel, model.get_layer("stem_conv").kernel)
    assert_refused(in_process("import", *flags), "that does not exist yet")
    refused = in_process("train", "--config=ram://models/config.json", "--workdir=ram://models/run")
    assert_refused(refused, "no file or folder ram://models/config.json")


@pytest.mark.parametrize(
    "flags",
    [("train", "--model=ResNet20V2", "--dataset=digits", "--workdir=s3://bucket/run"), ("verify", "s3://bucket/export")],
)
def test_an_unknown_scheme_is_refused(flags):
    refused = "has the scheme s3, which is not implemented; the schemes are gs, ram"
    assert_refused(keras_resnet_command(*flags), f"{flags[-1].partition('=')[2] or flags[-1]} {refused}")


def test_what_only_works_on_a_disk_refuses_a_url(in_process, tmp_path, monkeypatch):
    """Catches a folder `gs:` in the current one."""
    monkeypatch.chdir(tmp_path)
    for flags in (("reproduce", "--experiment=all"), ("benchmark", "--task=export")):
        assert_refused(
            in_process(*flags, "--output_dir=gs://bucket/x"), "gs://bucket/x is a URL; it must be a path on this machine"
        )
    assert os.listdir(tmp_path) == []
