"""Catches an artifact that is not the same classifier, and a verification that would not notice."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from conftest import only, scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet._litert_internals import operator_names, parse_model
from keras_resnet.export import output_dir, pipeline
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.formats.inspection import Inspection
from keras_resnet.export.formats.tflite import conversion, metadata
from keras_resnet.export.runtime import load_predictor
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.export.targets import TARGETS, select_targets
from keras_resnet.export.verification.result import Tolerances
from keras_resnet.export.verification.verify import ArtifactError, run_in_subprocess, verify
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.metrics import summary
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier
from keras_resnet.training.data.splits import ArraySplit

ARTIFACTS = ("saved_model", "model.tflite", "model.onnx")


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    """A color classifier with scrambled norms, not square, and images with labels for it."""
    folder = tmp_path_factory.mktemp("color")
    preprocessing = Preprocessing(16, 24, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    inputs = keras.Input((16, 24, 3))
    model = scramble(keras_resnet.ResNet20V1(input_tensor=preprocessing.layer()(inputs), classes=3, block="bottleneck"))
    write_classifier(model, folder / "model.keras", ClassifierMetadata("ResNet20V1", "none", ("a", "b", "c"), preprocessing))
    generator = np.random.default_rng(5)
    return folder / "model.keras", generator.integers(0, 256, (70, 16, 24, 3)).astype(np.uint8), generator.integers(0, 3, 70)


@pytest.fixture(scope="module")
def color_export(color, tmp_path_factory):
    path, images, labels = color
    config = ExportConfig(path, tmp_path_factory.mktemp("export"), quantize=("none",), output=("logits",))
    return export(config, images, labels)


def test_a_network_above_two_gigabytes_is_refused_before_anything_is_built(tmp_path):
    """BiTR152x4 has 3.7 GB. The message names the formats that could not hold it, and nothing is written."""
    model = types.SimpleNamespace(count_params=lambda: 2**29 + 1)
    source = types.SimpleNamespace(model=model)
    config = ExportConfig(tmp_path / "m.keras", tmp_path / "out", formats=("saved_model", "tflite", "onnx"))
    with pytest.raises(UserError, match="2,147,483,652 bytes of weights, and files of tflite, onnx hold 2,147,483,647 at most"):
        pipeline.export(config, source, None, None, [None] * 16)
    assert not list(tmp_path.iterdir())


def export(config, images, labels):
    return pipeline.export(config, load_source_model(config.model_path), images, labels)


def test_all_formats_of_a_color_net_with_scrambled_norms_agree_in_logits(color, color_export):
    assert [v.name for v in color_export.results] == ["saved_model", "tflite", "onnx"]
    assert not color_export.failed
    _, images, _ = color
    model = keras.saving.load_model(color[0])
    logits = keras.Model(model.input, model.get_layer("head_dense").output).predict(images.astype("float32"), verbose=0)
    for name in ARTIFACTS:
        predictor = load_predictor(color_export.config.output_dir / name)
        assert tuple(predictor.outputs) == ("logits",)
        np.testing.assert_allclose(only(predictor.run(images)), logits, rtol=1e-3, atol=1e-4 * np.abs(logits).max())
        np.testing.assert_allclose(predictor.probabilities(images), tf.nn.softmax(logits), atol=1e-4)


def test_the_run_exports_agree_with_keras_on_every_test_image(exported):
    record = json.loads((exported.folder / "report.json").read_text())
    assert record["images"] == 360
    assert [artifact["file"] for artifact in record["artifacts"]] == [
        "saved_model", "model.tflite", "model_fp16.tflite", "model_int8.tflite",
        "model.onnx", "model_fp16.onnx", "model_int8.onnx",
    ]  # fmt: skip
    for artifact in record["artifacts"]:
        assert artifact["passed"]
        assert record["keras"]["accuracy"] > 0.9
        quantized, agreement = artifact["name"] not in ("saved_model", "tflite", "onnx"), artifact["agreement"]
        assert agreement["decided"] > 250
        assert (agreement["max_disagreements"] is not None) == (agreement["max_rms_error"] is not None) == quantized
        if artifact["name"] in ("saved_model", "tflite", "onnx"):
            assert artifact["max_difference"] <= 1e-4
            assert artifact["top1_agreement"] == 1
            assert artifact["accuracy"] == record["keras"]["accuracy"]
        assert artifact["accuracy_drop"] == pytest.approx(100 * (record["keras"]["accuracy"] - artifact["accuracy"]))
        assert artifact["accuracy_drop"] <= 1
    assert record["source_path"] == str((exported.folder.parent / "model.keras").resolve())


@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_artifact_takes_raw_uint8_pixels_in_any_batch_and_gives_probabilities(name, exported, rng):
    predictor = load_predictor(exported.folder / name)
    images = rng.integers(0, 256, (67, 8, 8, 1)).astype(np.uint8)
    whole = only(predictor.run(images))
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(whole[5:6], only(predictor.run(images[5:6])), rtol=1e-4, atol=1e-6)
    assert tuple(predictor.outputs) == ("probabilities",)
    assert predictor.metadata.labels == tuple("0123456789")


def test_labels_lie_beside_the_artifacts(exported):
    assert (exported.folder / "labels.txt").read_text().splitlines() == list("0123456789")


def test_a_moved_file_still_knows_its_labels_and_preprocessing(exported, tmp_path):
    for name in ARTIFACTS:
        (shutil.copytree if name == "saved_model" else shutil.copy)(exported.folder / name, tmp_path / name)
        record = load_predictor(tmp_path / name).metadata
        assert record == ClassifierMetadata.read_from(exported.folder.parent / "model.keras")


def test_tflite_is_convolutions_relus_and_additions_and_xnnpack_takes_all_but_the_cast(exported):
    """One subtraction is left, of the pixels' mean; ReLUs after convolutions are fused into them."""
    for name in ("model.tflite", "model_int8.tflite"):
        found = load_predictor(exported.folder / name).inspect()
        assert not list(found.blocking_issues())
        assert found.operators["CONV_2D"] == 19 + 2, "the two shortcuts that change the shape"
        assert found.operators["ADD"] == 9
        assert not {"MUL", "AVERAGE_POOL_2D", "RSQRT", "VAR_HANDLE"} & set(found.operators)
        assert found.partitions == 1
        assert sum(found.undelegated_ops.values()) == 1, found.undelegated_ops


def test_what_must_not_be_shipped_is_refused():
    assert "variables that are not frozen (READ_VARIABLE)" in next(
        Inspection({"CONV_2D": 3, "READ_VARIABLE": 1}).blocking_issues()
    )
    assert "outside of LiteRT (FlexErf)" in next(Inspection({"FlexErf": 3}).blocking_issues())
    assert not list(Inspection({"CONV_2D": 3, "RELU": 1}).blocking_issues())


def test_unfolded_the_norms_of_the_skip_path_are_left(run, data_dir, exported, tmp_path):
    """Catches a --nofold that folds, and a fold that is only the converter's."""
    config = ExportConfig(run.workdir / "model.keras", tmp_path / "out", ("tflite", "onnx"), ("none",), fold=False)
    images = np.zeros((2, 8, 8, 1), np.uint8)
    assert not export(config, images, np.zeros(2, int)).failed
    histogram = operator_names(parse_model((tmp_path / "out" / "model.tflite").read_bytes()))
    assert histogram.count("MUL") == 1 + 9


def test_onnx_is_valid_names_its_axes_and_needs_no_weights_beside_it(exported):
    model = onnx.load(exported.folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    (given,), (taken,) = model.graph.input, model.graph.output
    assert (given.name, given.type.tensor_type.shape.dim[0].dim_param) == ("pixels", "batch")
    assert (taken.name, taken.type.tensor_type.shape.dim[0].dim_param) == ("probabilities", "batch")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_a_tampered_artifact_fails_verification(exported, run, tmp_path, rng):
    """Catches a verification that compares a file with itself."""
    model = onnx.load(exported.folder / "model.onnx")
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights = onnx.numpy_helper.to_array(largest) * 1.5
    largest.CopyFrom(onnx.numpy_helper.from_array(weights.astype(np.float32), largest.name))
    onnx.save(model, tmp_path / "model.onnx")
    images = rng.integers(0, 256, (20, 8, 8, 1)).astype(np.uint8)
    reference = load_predictor(run.workdir / "model.keras").run(images)
    tolerances = Tolerances({"probabilities": 1e-4}, 100)
    verification, _ = verify("onnx", tmp_path / "model.onnx", images, np.zeros(20, int), reference, only, tolerances)
    assert verification.max_difference > 1e-3
    assert not verification.passed


def test_not_a_number_never_passes(color_export):
    verification = color_export.results[0]
    for broken in ({"max_differences": {"logits": float("nan")}}, {"accuracy_drop": float("nan")}):
        assert not dataclasses.replace(verification, **broken).passed


def test_an_artifact_that_loses_accuracy_fails_and_says_how_much(color_export):
    tolerances = Tolerances({"logits": np.inf}, 1.0)
    verification = dataclasses.replace(color_export.results[0], accuracy_drop=1.5, tolerances=tolerances)
    assert verification.failures == ["loses 1.50 points of accuracy, 1 allowed"]
    assert dataclasses.replace(verification, accuracy_drop=1.0).passed


def test_a_failed_artifact_does_not_get_its_final_name_and_the_report_says_how_far(color, tmp_path, monkeypatch):
    path, images, labels = color
    config = ExportConfig(path, tmp_path / "out", formats=("tflite", "onnx"), quantize=("none",))
    honest = conversion.convert

    def wrong(saved_model):
        content = bytearray(honest(saved_model))
        middle = len(content) // 2
        content[middle : middle + 4000] = bytes(4000)
        return bytes(content)

    monkeypatch.setattr(conversion, "convert", wrong)
    result = export(config, images, labels)
    assert [v.name for v in result.failed] == ["tflite"]
    assert {p.name for p in config.output_dir.iterdir()} == {
        "labels.txt", "model.onnx", "README.md", "model_failed.tflite", "report.html", "report.json", "selftest.npz",
        "verify.py",
    }  # fmt: skip
    assert (
        f"tflite differs by {result.failed[0].max_difference:.1e}, 1.0e-04 allowed"
        in (config.output_dir / "report.html").read_text()
    )


def test_an_artifact_that_does_not_run_fails_and_the_report_says_why(color, tmp_path, monkeypatch):
    path, images, labels = color
    config = ExportConfig(path, tmp_path / "out", formats=("tflite",), quantize=("none",))
    honest = metadata.with_metadata
    monkeypatch.setattr(metadata, "with_metadata", lambda *arguments, **words: b"no flatbuffer")
    broken = export(config, images, labels)
    assert "tflite cannot be run without Keras: " in broken.verdict()
    assert broken.failed
    assert (broken.failed[0].accuracy, broken.failed[0].top1_agreement) == (0, 0), "no answer is no label"
    assert (config.output_dir / "model_failed.tflite").exists()
    json.loads((config.output_dir / "report.json").read_text(), parse_constant=pytest.fail)
    monkeypatch.setattr(metadata, "with_metadata", honest)
    assert not export(config, images, labels).failed
    assert not (config.output_dir / "model_failed.tflite").exists()
    monkeypatch.setattr(metadata, "with_metadata", lambda *arguments, **words: b"no flatbuffer")
    export(config, images, labels)
    assert not (config.output_dir / "model.tflite").exists(), "an earlier success under the final name"


def test_the_worker_cannot_import_keras(exported, run, rng):
    """Catches a verification by way of Keras: a .keras file is what the worker must be unable to run."""
    images = rng.integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    outputs, inspection, milliseconds, variants = run_in_subprocess(exported.folder / "saved_model", images)
    assert only(outputs).shape == (2, 10)
    assert inspection.operators["Conv2D"] == 21
    assert milliseconds > 0
    assert variants == []
    with pytest.raises(ArtifactError, match="keras"):
        run_in_subprocess(run.workdir / "model.keras", images)


def test_the_table_of_formats_loads_none_of_their_libraries():
    """Catches an import that makes `predict` on an .onnx or .tflite file wait for TensorFlow, and verification for Keras."""
    heavy = ("tensorflow", "keras", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert", "litert_quantizer")
    program = "import sys, keras_resnet.export.runtime, keras_resnet.export.targets; print([*sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert not {name for name in heavy if f"'{name}'" in done.stdout}


def test_the_figures_of_evaluate_are_exact():
    probabilities = np.array([[0.5, 0.2, 0.1, 0.1, 0.06, 0.04], [0.5, 0.2, 0.1, 0.1, 0.06, 0.04], [0, 0, 0, 0, 0, 1.0]])
    found = summary(probabilities, np.array([0, 5, 5]))
    assert found["top1"] == pytest.approx(2 / 3)
    assert found["top5"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(-(np.log(0.5) + np.log(0.04)) / 3)
    assert "top5" not in summary(np.eye(5), np.arange(5))


def test_an_output_folder_with_someone_elses_files_is_refused_and_untouched(color, tmp_path):
    path, images, labels = color
    (tmp_path / "labels.txt").write_text("theirs")
    with pytest.raises(UserError, match=r"holds labels\.txt of another origin"):
        export(ExportConfig(path, tmp_path, quantize=("none",)), images, labels)
    assert [p.name for p in tmp_path.iterdir()] == ["labels.txt"]
    assert (tmp_path / "labels.txt").read_text() == "theirs"


@pytest.mark.parametrize("theirs", ['{"mine": 1}', "no json"])
def test_a_record_of_someone_elses_is_no_license_to_overwrite(theirs, color, tmp_path):
    path, images, labels = color
    (tmp_path / "report.json").write_text(theirs)
    with pytest.raises(UserError, match="of another origin"):
        export(ExportConfig(path, tmp_path, quantize=("none",)), images, labels)
    assert (tmp_path / "report.json").read_text() == theirs


def test_a_folder_under_a_files_name_is_not_deleted(color, tmp_path):
    path, images, labels = color
    config = ExportConfig(path, tmp_path, formats=("onnx",), quantize=("none",))
    export(config, images[:2], labels[:2])
    (tmp_path / "model.onnx").unlink()
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(UserError, match=r"model\.onnx of another origin"):
        export(config, images[:2], labels[:2])
    assert (tmp_path / "model.onnx").is_dir()


def test_the_export_of_another_model_is_not_mixed_with(color, exported, tmp_path):
    path, images, labels = color
    shutil.copy(exported.folder / "report.json", tmp_path)
    with pytest.raises(UserError, match="holds the export of ResNet20V2 on digits"):
        export(ExportConfig(path, tmp_path, quantize=("none",)), images, labels)


def test_labels_that_do_not_match_the_outputs_are_refused(color, tmp_path):
    path, images, _ = color
    record = ClassifierMetadata.read_from(path)
    model = keras.saving.load_model(path)
    write_classifier(model, tmp_path / "m.keras", dataclasses.replace(record, labels=("a", "b")))
    with pytest.raises(UserError, match="3 outputs and 2 labels"):
        load_predictor(tmp_path / "m.keras").run(images[:1])


def test_other_weights_take_the_place_of_all_that_is_there_or_are_refused(color, tmp_path):
    """Catches files of an earlier export beside those of a later one, of which its reports do not tell."""
    path, images, labels = color
    out = tmp_path / "out"
    both = ("none", "fp16")
    export(ExportConfig(path, out, ("onnx",), both), images[:2], labels[:2])
    before = (out / "model.onnx").read_bytes()
    model = keras.saving.load_model(path)
    model.get_layer("head_dense").bias.assign([1.0, 2.0, 3.0])
    write_classifier(model, tmp_path / "again.keras", ClassifierMetadata.read_from(path))
    for formats, quantize in ((("onnx",), ("none",)), (("tflite",), both)):
        with pytest.raises(UserError, match=r"holds an export with onnx.*, which this one does not have: choose another"):
            export(ExportConfig(tmp_path / "again.keras", out, formats, quantize), images[:2], labels[:2])
    assert (out / "model.onnx").read_bytes() == before
    export(ExportConfig(tmp_path / "again.keras", out, ("onnx",), both), images[:2], labels[:2])
    assert (out / "model.onnx").read_bytes() != before
    (out / "model.tflite").write_text("somebody else's")
    with pytest.raises(UserError, match=r"holds model\.tflite of another origin"):
        export(ExportConfig(path, out, ("onnx", "tflite"), both), images[:2], labels[:2])
    (out / "model.tflite").unlink()
    others = dataclasses.replace(ClassifierMetadata.read_from(path), labels=("x", "y", "z"))
    write_classifier(model, tmp_path / "others.keras", others)
    with pytest.raises(UserError, match="a network with other classes"):
        export(ExportConfig(tmp_path / "others.keras", out, ("onnx",), both), images[:2], labels[:2])


def test_what_a_killed_export_left_goes_with_the_next(color, tmp_path):
    path, images, labels = color
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for owner in (dead.pid, os.getpid()):
        (tmp_path / f"{output_dir.TEMPORARY}{owner}-abc").mkdir()
    elsewhere = tmp_path / f".export-another-host-{dead.pid}-abc"
    elsewhere.mkdir()
    export(ExportConfig(path, tmp_path, ("onnx",), ("none",)), images[:2], labels[:2])
    running = {f"{output_dir.TEMPORARY}{os.getpid()}-abc", elsewhere.name}
    assert {p.name for p in tmp_path.iterdir() if p.name.startswith(".")} == running


def test_a_network_that_gives_nan_is_refused(color, tmp_path):
    path, images, labels = color
    model = keras.saving.load_model(path)
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    norm.moving_variance.assign(-np.ones(norm.moving_variance.shape))
    write_classifier(model, tmp_path / "odd.keras", ClassifierMetadata.read_from(path))
    with pytest.raises(UserError, match="gives outputs for test images that are NaN or infinite"):
        export(ExportConfig(tmp_path / "odd.keras", tmp_path / "out", ("onnx",), ("none",)), images[:2], labels[:2])


def test_a_second_export_replaces_the_first(color, tmp_path):
    path, images, labels = color
    for _ in range(2):
        export(ExportConfig(path, tmp_path, formats=("saved_model",)), images[:2], labels[:2])
    accompanying = {"labels.txt", "report.json", "report.html", "README.md", "selftest.npz", "verify.py"}
    assert {p.name for p in tmp_path.iterdir()} == {"saved_model", *accompanying}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ("coreml",)}, "unknown format 'coreml'; the formats are saved_model, tflite, onnx"),
        ({"formats": ()}, "unknown format"),
        ({"input_dtype": "int8"}, "unknown input_dtype 'int8'; it is one of uint8, float32"),
        ({"calibration": "percentile"}, "there is no percentile calibration in tflite: tflite has minmax, mse"),
        ({"output": ("labels",)}, "unknown output 'labels'; the outputs are probabilities, logits, features, gradcam"),
        ({"max_difference": 0.0}, r"max_difference is 0\.0; it is above 0"),
        ({"max_accuracy_drop": -1.0}, r"max_accuracy_drop is -1\.0; it is in points"),
        ({"min_agreement": 101.0}, r"min_agreement is 101\.0; it is in percent"),
        ({"selftest_images": -1}, r"selftest_images is -1; it is at least 0"),
        ({"quantize": ("int4",)}, "unknown quantization 'int4'; the quantizations are none, fp16, int8_dynamic"),
        ({"formats": ("onnx",), "quantize": ("none", "int16x8")}, "there is no int16x8 in onnx: onnx has none, fp16, int8"),
        ({"onnx_layout": "chwn"}, "unknown ONNX layout 'chwn'"),
        ({"opset": 3}, "opset is 3"),
        ({"opset": 9}, "opset is 9; int8 in ONNX needs 13 or above"),
    ],
)
def test_a_wrong_option_is_refused(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        ExportConfig(tmp_path / "model.keras", tmp_path / "out", **options)


def test_the_report_stands_alone_and_shows_images(exported):
    page = (exported.folder / "report.html").read_text()
    record = json.loads((exported.folder / "report.json").read_text())
    assert page.count("data:image/png;base64,") >= 16 + 1, "sixteen images and the curves"
    assert "http" not in page
    assert "All 7 artifacts passed." in page
    for artifact in record["artifacts"]:
        assert f"<td>{artifact['name']}" in page
        assert f"{artifact['bytes'] / 1e6:.2f} MB" in page
    assert page.count("<svg") == 3


def test_the_card_says_what_a_finder_needs(exported):
    card = (exported.folder / "README.md").read_text()
    assert "# ResNet20V2 on digits" in card
    assert "Recipe: digits, seed 0: batch_size 64" in card
    assert "8x8x1" in card
    for row in ("| keras |", "| tflite_int8 |", "| onnx_fp16 |"):
        assert row in card


def test_quantized_artifacts_are_small(exported):
    sizes = {
        name: (exported.folder / name).stat().st_size for name in ("model.tflite", "model_int8.tflite", "model_fp16.tflite")
    }
    assert sizes["model_int8.tflite"] < 0.32 * sizes["model.tflite"]
    assert sizes["model_fp16.tflite"] < 0.55 * sizes["model.tflite"]


def test_full_int8_is_integer_at_both_edges_and_takes_raw_pixels(exported):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(exported.folder / "model_int8.tflite")).get_signature_runner()
    assert runner.get_input_details()["pixels"]["dtype"] == np.uint8
    assert runner.get_input_details()["pixels"]["quantization"] == (1.0, 0)
    assert runner.get_output_details()["probabilities"]["dtype"] == np.uint8


@pytest.mark.slow
def test_artifacts_of_float_pixels_are_the_same_network_in_every_format(color, tmp_path):
    """Catches a cast that is left at an edge, calibration and runners that feed bytes, and image files that do not fit."""
    path, images, labels = color
    config = ExportConfig(path, tmp_path / "out", quantize=("none", "int8"), input_dtype="float32", max_accuracy_drop=10)
    found = pipeline.export(config, load_source_model(path), images, labels, ArraySplit(images, labels))
    assert [result.file for result in found.results if result.passed] == [
        *ARTIFACTS[:2],
        "model_int8.tflite",
        ARTIFACTS[2],
        "model_int8.onnx",
    ]
    for name in ("model.tflite", "model_int8.tflite"):
        predictor = load_predictor(config.output_dir / name)
        assert predictor.inspect().delegated == 1, "XNNPACK takes no cast from uint8"
    for name in ("model.onnx", "model_int8.onnx"):
        graph = onnx.load(config.output_dir / name).graph
        assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert "Cast" not in {node.op_type for node in graph.node}
    loaded = tf.saved_model.load(str(config.output_dir / "saved_model"))
    served = loaded.signatures["serving_default"](pixels=tf.constant(images[:1], tf.float32))["probabilities"]
    files = tf.stack([tf.io.encode_png(images[0])])
    np.testing.assert_array_equal(loaded.signatures["image_bytes"](image_bytes=files)["probabilities"], served)
    assert "raw float32 pixels from 0 to 255" in (config.output_dir / "README.md").read_text(encoding="utf-8")


def test_deep_networks_may_differ_by_the_roundings_of_all_their_layers(tmp_path):
    inputs = x = keras.Input((4, 4, 1))
    for _ in range(200):
        x = keras.layers.DepthwiseConv2D(1)(x)
    config = ExportConfig(tmp_path / "m.keras", tmp_path / "out", quantize=("none",))
    deep, shallow = keras.Model(inputs, keras.layers.Conv2D(1, 1)(x)), keras.Model(inputs, keras.layers.Conv2D(1, 1)(inputs))
    target, reference = TARGETS["tflite"], {"probabilities": np.ones((1, 2))}
    assert config.tolerances(target, deep, reference).max_difference == pytest.approx(2.01e-4)
    assert config.tolerances(target, shallow, reference).max_difference == 1e-4
    fixed = dataclasses.replace(config, max_difference=1e-5)
    assert fixed.tolerances(target, deep, reference).max_difference == 1e-5


def test_too_few_images_do_not_calibrate(color, tmp_path):
    path, images, labels = color
    config = ExportConfig(path, tmp_path / "out", ("tflite",), ("int8",))
    with pytest.raises(UserError, match="tflite_int8 cannot be calibrated on 0 images; at least 16 are needed"):
        export(config, images, labels)
    assert not (tmp_path / "out").exists()


def test_a_mistake_that_shows_while_writing_leaves_no_folder(color, tmp_path):
    path, images, labels = color
    config = ExportConfig(path, tmp_path / "out", ("tflite",), ("int8",), keep_float=("nobody",))
    with pytest.raises(UserError, match="no operator 'nobody' to keep in float"):
        pipeline.export(config, load_source_model(path), images, labels, ArraySplit(images, labels))
    assert not (tmp_path / "out").exists()


def test_every_format_has_what_the_table_says():
    assert list(select_targets(["saved_model"])) == ["saved_model"]
    assert list(select_targets(["tflite", "onnx"])) == [
        "tflite", "tflite_fp16", "tflite_int8", "onnx", "onnx_fp16", "onnx_int8",
    ]  # fmt: skip
    assert len({target.file for target in TARGETS.values()}) == len(TARGETS) - 2, "a web page's three have one folder"
    assert TARGETS["tflite_int8"].failed_file == "model_int8_failed.tflite"
    assert TARGETS["saved_model"].failed_file == "saved_model_failed"
