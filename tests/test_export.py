"""Catches an artefact that is not the same classifier, and a verification that would not notice."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from conftest import scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet.classifier import Classifier
from keras_resnet.export import pipeline, runtimes, tflite
from keras_resnet.export.pipeline import ExportConfig
from keras_resnet.export.verification import ArtefactError, run_apart, scores, verify
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier

ARTEFACTS = ("saved_model", "model.tflite", "model.onnx")


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    """A colour classifier with scrambled norms, not square, and images with labels for it."""
    folder = tmp_path_factory.mktemp("colour")
    preprocessing = Preprocessing(16, 24, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    inputs = keras.Input((16, 24, 3))
    model = scramble(keras_resnet.ResNet20V1(input_tensor=preprocessing.layer()(inputs), classes=3, block="bottleneck"))
    write_classifier(model, folder / "model.keras", Classifier("ResNet20V1", "none", ("a", "b", "c"), preprocessing))
    generator = np.random.default_rng(5)
    return folder / "model.keras", generator.integers(0, 256, (70, 16, 24, 3)).astype(np.uint8), generator.integers(0, 3, 70)


@pytest.fixture(scope="module")
def colour_export(colour, tmp_path_factory):
    path, images, labels = colour
    config = ExportConfig(path, tmp_path_factory.mktemp("export"), output="logits")
    return pipeline.export(config, images, labels)


def test_all_formats_of_a_colour_net_with_scrambled_norms_agree_in_logits(colour, colour_export):
    assert [v.name for v in colour_export.verifications] == ["saved_model", "tflite", "onnx"]
    assert not colour_export.failed
    _, images, _ = colour
    model = keras.saving.load_model(colour[0])
    logits = keras.Model(model.input, model.get_layer("head_dense").output).predict(images.astype("float32"), verbose=0)
    for name in ARTEFACTS:
        artefact = runtimes.open_artefact(colour_export.config.output_dir / name)
        assert artefact.output == "logits"
        np.testing.assert_allclose(artefact.run(images), logits, rtol=1e-3, atol=1e-4 * np.abs(logits).max())
        np.testing.assert_allclose(artefact.probabilities(images), tf.nn.softmax(logits), atol=1e-4)


def test_the_run_exports_agree_with_keras_on_every_test_image(exported):
    record = json.loads((exported.folder / "report.json").read_text())
    assert record["images"] == 360
    assert [artefact["name"] for artefact in record["artefacts"]] == ["saved_model", "tflite", "onnx"]
    for artefact in record["artefacts"]:
        assert artefact["passed"]
        assert artefact["max_difference"] <= 1e-4
        assert artefact["top1_agreement"] == 1
        assert artefact["accuracy"] == record["keras"]["accuracy"] > 0.9


@pytest.mark.parametrize("name", ARTEFACTS)
def test_an_artefact_takes_raw_uint8_pixels_in_any_batch_and_gives_probabilities(name, exported, rng):
    artefact = runtimes.open_artefact(exported.folder / name)
    images = rng.integers(0, 256, (67, 8, 8, 1)).astype(np.uint8)
    whole = artefact.run(images)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(whole[5:6], artefact.run(images[5:6]), rtol=1e-4, atol=1e-6)
    assert artefact.output == "probabilities"
    assert artefact.classifier.labels == tuple("0123456789")


def test_labels_lie_beside_the_artefacts(exported):
    assert (exported.folder / "labels.txt").read_text().splitlines() == list("0123456789")


def test_a_moved_file_still_knows_its_labels_and_preprocessing(exported, tmp_path):
    for name in ARTEFACTS:
        (shutil.copytree if name == "saved_model" else shutil.copy)(exported.folder / name, tmp_path / name)
        record = runtimes.open_artefact(tmp_path / name).classifier
        assert record == Classifier.read_from(exported.folder.parent / "model.keras")


def test_tflite_has_no_unfrozen_variables_and_folds_the_branch_norms(exported):
    """Nine of ResNet20V2's pre-activations cannot fold; every other norm does, with one MUL for the scaling of pixels."""
    histogram = tflite.operator_histogram((exported.folder / "model.tflite").read_bytes())
    assert not set(histogram) & {"VAR_HANDLE", "READ_VARIABLE", "RSQRT", "SQUARED_DIFFERENCE"}
    assert not any(name.startswith("Flex") for name in histogram)
    assert histogram["CONV_2D"] == 19
    assert histogram["MUL"] == 1 + 9


def test_onnx_is_valid_names_its_axes_and_needs_no_weights_beside_it(exported):
    model = onnx.load(exported.folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    (given,), (taken,) = model.graph.input, model.graph.output
    assert (given.name, given.type.tensor_type.shape.dim[0].dim_param) == ("pixels", "batch")
    assert (taken.name, taken.type.tensor_type.shape.dim[0].dim_param) == ("probabilities", "batch")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_a_tampered_artefact_fails_verification(exported, run, tmp_path, rng):
    """Catches a verification that compares a file with itself."""
    model = onnx.load(exported.folder / "model.onnx")
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights = onnx.numpy_helper.to_array(largest) * 1.5
    largest.CopyFrom(onnx.numpy_helper.from_array(weights.astype(np.float32), largest.name))
    onnx.save(model, tmp_path / "model.onnx")
    images = rng.integers(0, 256, (20, 8, 8, 1)).astype(np.uint8)
    reference = runtimes.open_artefact(run.workdir / "model.keras").run(images)
    verification, _ = verify("onnx", tmp_path / "model.onnx", images, np.zeros(20, int), reference, 1e-4)
    assert verification.max_difference > 1e-3
    assert not verification.passed


def test_not_a_number_never_passes(colour_export):
    verification = dataclasses.replace(colour_export.verifications[0], max_difference=float("nan"))
    assert not verification.passed


def test_a_failed_artefact_does_not_get_its_final_name_and_the_report_says_how_far(colour, tmp_path, monkeypatch):
    path, images, labels = colour
    config = ExportConfig(path, tmp_path / "out", formats=("tflite", "onnx"), tolerance=1e-4)
    honest = pipeline.tflite.write

    def wrong(saved_model, classifier, target):
        honest(saved_model, classifier, target)
        content = bytearray(target.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 4000] = bytes(4000)
        target.write_bytes(content)

    monkeypatch.setattr(pipeline.tflite, "write", wrong)
    result = pipeline.export(config, images, labels)
    assert [v.name for v in result.failed] == ["tflite"]
    assert {p.name for p in config.output_dir.iterdir()} == {
        "labels.txt", "model.onnx", "model_failed.tflite", "report.html", "report.json",
    }  # fmt: skip
    assert (
        f"tflite differs by {result.failed[0].max_difference:.1e}, 1.0e-04 allowed"
        in (config.output_dir / "report.html").read_text()
    )


def test_an_artefact_that_does_not_run_fails_and_the_report_says_why(colour, tmp_path, monkeypatch):
    path, images, labels = colour
    config = ExportConfig(path, tmp_path / "out", formats=("tflite",))
    honest = pipeline.tflite.write
    monkeypatch.setattr(pipeline.tflite, "write", lambda *arguments: arguments[-1].write_text("no flatbuffer"))
    broken = pipeline.export(config, images, labels)
    assert "tflite cannot be run without Keras: " in broken.verdict()
    assert broken.failed
    assert (broken.failed[0].accuracy, broken.failed[0].top1_agreement) == (0, 0), "no answer is no label"
    assert (config.output_dir / "model_failed.tflite").exists()
    json.loads((config.output_dir / "report.json").read_text(), parse_constant=pytest.fail)
    monkeypatch.setattr(pipeline.tflite, "write", honest)
    assert not pipeline.export(config, images, labels).failed
    assert not (config.output_dir / "model_failed.tflite").exists()
    monkeypatch.setattr(pipeline.tflite, "write", lambda *arguments: arguments[-1].write_text("no flatbuffer"))
    pipeline.export(config, images, labels)
    assert not (config.output_dir / "model.tflite").exists(), "an earlier success under the final name"


def test_the_worker_cannot_import_keras(exported, run, rng):
    """Catches a verification by way of Keras: a .keras file is what the worker must be unable to run."""
    images = rng.integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    assert run_apart(exported.folder / "saved_model", images).shape == (2, 10)
    with pytest.raises(ArtefactError, match="keras"):
        run_apart(run.workdir / "model.keras", images)


def test_scores_are_exact():
    probabilities = np.array([[0.5, 0.2, 0.1, 0.1, 0.06, 0.04], [0.5, 0.2, 0.1, 0.1, 0.06, 0.04], [0, 0, 0, 0, 0, 1.0]])
    found = scores(probabilities, np.array([0, 5, 5]))
    assert found["top1"] == pytest.approx(2 / 3)
    assert found["top5"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(-(np.log(0.5) + np.log(0.04)) / 3)
    assert "top5" not in scores(np.eye(5), np.arange(5))


def test_an_output_folder_with_someone_elses_files_is_refused_and_untouched(colour, tmp_path):
    path, images, labels = colour
    (tmp_path / "labels.txt").write_text("theirs")
    with pytest.raises(UserError, match=r"holds labels\.txt of another origin"):
        pipeline.export(ExportConfig(path, tmp_path), images, labels)
    assert [p.name for p in tmp_path.iterdir()] == ["labels.txt"]
    assert (tmp_path / "labels.txt").read_text() == "theirs"


@pytest.mark.parametrize("theirs", ['{"mine": 1}', "no json"])
def test_a_record_of_someone_elses_is_no_licence_to_overwrite(theirs, colour, tmp_path):
    path, images, labels = colour
    (tmp_path / "report.json").write_text(theirs)
    with pytest.raises(UserError, match="of another origin"):
        pipeline.export(ExportConfig(path, tmp_path), images, labels)
    assert (tmp_path / "report.json").read_text() == theirs


def test_a_folder_under_a_files_name_is_not_deleted(colour, tmp_path):
    path, images, labels = colour
    config = ExportConfig(path, tmp_path, formats=("onnx",))
    pipeline.export(config, images[:2], labels[:2])
    (tmp_path / "model.onnx").unlink()
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(UserError, match=r"model\.onnx of another origin"):
        pipeline.export(config, images[:2], labels[:2])
    assert (tmp_path / "model.onnx").is_dir()


def test_the_export_of_another_model_is_not_mixed_with(colour, exported, tmp_path):
    path, images, labels = colour
    shutil.copy(exported.folder / "report.json", tmp_path)
    with pytest.raises(UserError, match="holds the export of ResNet20V2 on digits"):
        pipeline.export(ExportConfig(path, tmp_path), images, labels)


def test_labels_that_do_not_match_the_outputs_are_refused(colour, tmp_path):
    path, images, _ = colour
    record = Classifier.read_from(path)
    model = keras.saving.load_model(path)
    write_classifier(model, tmp_path / "m.keras", dataclasses.replace(record, labels=("a", "b")))
    with pytest.raises(UserError, match="3 outputs and 2 labels"):
        runtimes.open_artefact(tmp_path / "m.keras").run(images[:1])


def test_a_second_export_replaces_the_first(colour, tmp_path):
    path, images, labels = colour
    for _ in range(2):
        pipeline.export(ExportConfig(path, tmp_path, formats=("saved_model",)), images[:2], labels[:2])
    assert {p.name for p in tmp_path.iterdir()} == {"saved_model", "labels.txt", "report.json", "report.html"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ("coreml",)}, "unknown format 'coreml'; the formats are saved_model, tflite, onnx"),
        ({"formats": ()}, "unknown format"),
        ({"output": "labels"}, "unknown output 'labels'; it is one of probabilities, logits"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
    ],
)
def test_a_wrong_option_is_refused(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        ExportConfig(tmp_path / "model.keras", tmp_path / "out", **options)


def test_the_report_stands_alone_and_shows_pictures(exported):
    page = (exported.folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 16 + 1, "sixteen images and the curves"
    assert "http" not in page
    assert "All 3 artefacts agree with Keras" in page
    for name in ("keras", "saved_model", "tflite", "onnx"):
        assert f"<td>{name}" in page
