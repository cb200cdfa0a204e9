"""Catches a latency of something else than it says: another network, other threads, other libraries, another reference."""

import json
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import keras_resnet_command, scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet.export.benchmarks import baselines, exporters, keras_export, runner, runtimes, session
from keras_resnet.export.benchmarks.artifacts import OURS, Artifact, find_artifacts, measured_targets
from keras_resnet.export.benchmarks.config import LatencyConfig
from keras_resnet.export.benchmarks.result import LatencyEntry, LatencyResult
from keras_resnet.export.reporting.report import RECORD
from keras_resnet.export.targets import TARGETS
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier

FORMATS = ("saved_model", "tflite", "onnx")


def test_every_format_has_a_runtime_that_it_is_measured_in():
    assert set(runtimes.RUNTIMES) == {target.format for target in measured_targets()}


def export_record(model, **given):
    return json.dumps({"model": model, "dataset": "none", "artifacts": [], "versions": {}, **given})


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A colour classifier with scrambled norms, not square."""
    preprocessing = Preprocessing(16, 24, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    inputs = keras.Input((16, 24, 3))
    model = scramble(keras_resnet.ResNet20V2(input_tensor=preprocessing.layer()(inputs), classes=3))
    path = tmp_path_factory.mktemp("classifier") / "model.keras"
    write_classifier(model, path, ClassifierMetadata("ResNet20V2", "none", ("a", "b", "c"), preprocessing))
    return path


@pytest.fixture(scope="module")
def export(source, tmp_path_factory):
    """A folder as export leaves it, whose artifacts are Keras' own."""
    folder = tmp_path_factory.mktemp("export")
    (folder / RECORD).write_text(export_record("ResNet20V2", source_path=str(source)))
    written = {format: folder / TARGETS[format].file for format in FORMATS}
    (folder / "model.onnx").touch()  # until it is written: a configuration wants something to measure
    assert exporters.keras(source, "ResNet20V2", written, "quiet") == {}
    return folder


@pytest.fixture(scope="module")
def references(export, tmp_path_factory):
    """What Keras and PyTorch make of the classifier, by exporter and format."""
    folder = tmp_path_factory.mktemp("references")
    config = LatencyConfig(export, baselines=("keras", "torch"))
    artifacts = baselines.write_baselines(config, set(FORMATS), folder, "quiet", lambda line: None)
    return {(artifact.exporter, artifact.format): artifact for artifact in artifacts}


CASES = [*(("keras", format) for format in FORMATS), ("torch", "onnx")]
RUN = """
import sys
import numpy as np
from keras_resnet.export.benchmarks.runtimes import RUNTIMES
format, path, target = sys.argv[1:]
runtime = RUNTIMES[format](1)
runtime.load(path, 1)
np.savez(target, images=runtime.images, outputs=runtime.run())
print(*(name for name in ("tensorflow", "keras", "ai_edge_litert", "onnxruntime", "torch", "onnx") if sys.modules.get(name)))
"""


@pytest.fixture(scope="module")
def runs(references, tmp_path_factory):
    """By exporter and format, what a process ran, and what it had imported in the end."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for (exporter, format), artifact in references.items():
        if not artifact.failure:
            target = folder / f"{exporter}_{format}.npz"
            command = [sys.executable, "-P", "-c", RUN, format, str(artifact.path), str(target)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[exporter, format] = (dict(np.load(target)), set(done.stdout.split()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("exporter", "format"), CASES)
def test_what_we_are_measured_by_is_the_same_network(exporter, format, source, references, runs):
    """An exporter that loses weights, scaling or padding is faster or slower for nothing."""
    if exporter == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    assert references[exporter, format].failure == ""
    (ran, _), model = runs[exporter, format], keras.saving.load_model(source)
    images = ran["images"].transpose(0, 2, 3, 1) if exporter == "torch" else ran["images"]
    assert images.dtype == np.float32
    assert images.max() > 200, "raw pixels"
    np.testing.assert_allclose(ran["outputs"], model.predict(images, verbose=0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "libraries"), [("saved_model", {"tensorflow"}), ("tflite", {"ai_edge_litert"}), ("onnx", {"onnxruntime"})]
)
def test_a_runtime_is_alone_in_its_process(format, libraries, runs):
    """TensorFlow beside LiteRT would be half a gigabyte of the "memory" of a file of one megabyte."""
    assert runs["keras", format][1] == libraries


@pytest.mark.slow
def test_pytorchs_file_is_in_evaluation_mode_and_pads_inside_its_convolutions(references):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    kinds = [node.op_type for node in onnx.load(references["torch", "onnx"].path).graph.node]
    assert kinds.count("BatchNormalization") == 9, "pre-activations at an addition; all others are in their convolutions"
    assert kinds.count("Pad") == 2, "the channels of option A"


def test_a_session_has_the_threads_that_it_is_asked_for_and_does_not_spin(export, monkeypatch):
    given, real = {}, onnxruntime.InferenceSession

    def noted(path, options, providers):
        given.update(threads=options.intra_op_num_threads, inter=options.inter_op_num_threads)
        given.update(spinning=options.get_session_config_entry("session.intra_op.allow_spinning"))
        return real(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    runtime = runtimes.OnnxRuntime(2)
    runtime.load(str(export / "model.onnx"), 5)
    assert given == {"threads": 2, "inter": 1, "spinning": "0"}
    assert runtime.run().shape == (5, 3)


def test_a_tflite_file_takes_the_batch_and_the_threads_that_it_is_asked_for(export, monkeypatch):
    runtime, given = runtimes.TFLiteRuntime(2), []
    real = runtime._interpreter
    monkeypatch.setattr(
        runtime, "_interpreter", lambda path, num_threads: given.append(num_threads) or real(path, num_threads=num_threads)
    )
    runtime.load(str(export / "model.tflite"), 5)
    assert given == [2]
    assert runtime.run().shape == (5, 3)


def test_pixels_are_of_the_files_type_and_range():
    for dtype, low, high in ((np.uint8, 0, 255), (np.int8, -128, 127), (np.float32, 0, 255)):
        images = runtimes.random_pixels((None, 32, 32, 3), 4, dtype)
        assert (images.dtype, images.shape, images.min(), images.max()) == (dtype, (4, 32, 32, 3), low, high)
    assert runtimes.random_pixels(("batch", 3, 8, 9), 2, np.uint8).shape == (2, 3, 8, 9)
    with pytest.raises(UserError, match="takes a batch of 1, not of 4"):
        runtimes.random_pixels((1, 8, 8, 3), 4, np.uint8)
    with pytest.raises(UserError, match="any size"):
        runtimes.random_pixels((None, None, None, 3), 1, np.uint8)


@pytest.mark.parametrize("seconds", [0.0001, 0.04, 0.4])
def test_a_round_has_as_many_inferences_as_fit_and_one_more_that_does_not_count(seconds, monkeypatch):
    clock, runs = [0.0], []

    def run():
        runs.append(clock[0])
        clock[0] += seconds if len(runs) % 100 else 10  # an outlier here and there

    runtime = types.SimpleNamespace(versions={}, load=lambda path, batch_size: None, run=run)
    monkeypatch.setitem(runtimes.RUNTIMES, "onnx", lambda threads: runtime)
    monkeypatch.setattr(session.time, "perf_counter", lambda: clock[0])
    timed = session.LatencySession()
    timed.prepare("onnx", "", 1, 1, 0)
    before = len(runs)
    latencies = timed.measure()
    assert len(latencies) == {0.0001: session.MAX_RUNS, 0.04: 8, 0.4: session.MIN_RUNS}[seconds]
    assert len(runs) - before == len(latencies) + 1
    assert min(latencies) == pytest.approx(seconds)
    timed.prepare("onnx", "", 1, 1, 7)
    assert len(timed.measure()) == 7


def test_a_file_that_fails_is_a_row_and_the_others_go_on(export, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(export, folder, ignore=shutil.ignore_patterns("saved_model"))
    (folder / "model_fp16.tflite").write_text("no flatbuffer")
    shutil.copy(export / "model.tflite", folder / "model_int8_failed.tflite")
    config = LatencyConfig(folder, threads=(1,), rounds=2, steps=2, baselines=())
    result = runner.benchmark(config)
    entries = {entry.title: entry for entry in result.entries}
    assert list(entries) == ["model.tflite", "model_fp16.tflite", "model.onnx"]
    assert entries["model_fp16.tflite"].failure.startswith("ValueError: ")
    for name in ("model.tflite", "model.onnx"):
        assert [len(latencies) for latencies in entries[name].rounds] == [2, 2]
        assert entries[name].peak_memory > entries[name].idle_memory > 10
    notes = "\n".join(result.notes())
    assert "model_fp16.tflite: ValueError" in notes
    assert "model_int8_failed.tflite: left out" in notes
    json.dumps(result.record())
    for path in folder.glob("model.*"):
        path.unlink()
    with pytest.raises(UserError, match=r"nothing in .* could be measured: model_fp16\.tflite: ValueError"):
        runner.benchmark(config)


def entry(artifact, threads, *milliseconds):
    rounds = [[ms / 1000, ms / 1000] for ms in milliseconds]
    return LatencyEntry(artifact, threads, rounds, 1_500_000, 0.1, 50.0, peak_memory=80.0)


def test_ratios_are_within_a_round_to_the_same_format_and_threads(export, tmp_path):
    """Below 1 where ours is faster; another export's int8 file is no match for our float32 one."""
    other = tmp_path / "unfolded"
    shutil.copytree(export, other)
    ours, theirs, onnx_file = (Artifact(exporter, exporter, tmp_path / name) for exporter, name in (
        (OURS, "model.tflite"), ("keras", "k/model.tflite"), ("keras", "k/model.onnx")
    ))  # fmt: skip
    unfolded, quantized = (Artifact(str(other), name, other / name) for name in ("model.tflite", "model_int8.tflite"))
    config = LatencyConfig(export, baselines=("keras", str(other)), rounds=3)
    entries = (
        entry(ours, 1, 1, 2, 9), entry(theirs, 1, 2, 8, 10), entry(theirs, 2, 100, 100, 100), entry(onnx_file, 1, 70, 70, 70),
        entry(unfolded, 1, 4, 1, 9), entry(quantized, 1, 50, 50, 50), LatencyEntry(ours, 2, failure="broken"),
    )  # fmt: skip
    result = LatencyResult(config, entries)
    assert result.ratios(entries[0]) == {"keras": [0.5, 0.25, 0.9], str(other): [0.25, 2.0, 1.0]}
    assert [result.ratios(one) for one in entries[1:]] == [{}] * 6
    columns, rows = result.table()
    assert dict(zip(columns, rows[0], strict=True)) == {
        "": OURS, "threads": 1, "size, MB": "1.50", "median, ms": "2", "p95, ms": "9", "vs Keras' export": "0.50x",
        f"vs {other}": "1.00x", "memory, MB": "80", "model's, MB": "30",
    }  # fmt: skip
    record = json.loads(json.dumps(result.record()))["candidates"]
    assert record[0]["ratios"]["keras"] == {"median": 0.5, "smallest": 0.25, "largest": 0.9, "rounds": [0.5, 0.25, 0.9]}
    assert (record[0]["median"], record[0]["inferences"], record[0]["rounds"]) == (2.0, 6, [1.0, 2.0, 9.0])
    assert record[6]["failure"] == "broken"


def test_p95_is_of_all_inferences_and_not_of_the_rounds_medians():
    noisy = LatencyEntry(Artifact(OURS, OURS, None), 1, [[0.001] * 9 + [0.1]] * 10)
    assert noisy.medians == [1.0] * 10
    assert (noisy.latency(0.5), noisy.latency(0.95)) == (1.0, 100.0)


def test_exporters_that_apply_are_measured_by(export, tmp_path):
    assert LatencyConfig(export).exporters == ["keras", "torch"]
    shutil.copy(export / "model.onnx", tmp_path)
    for name in ("ResNet50V1_5", "resnet50v1_5"):
        (tmp_path / RECORD).write_text(export_record(name))
        assert LatencyConfig(tmp_path).exporters == ["keras", "applications", "torch"]
    config = LatencyConfig(tmp_path, baselines=("torch", str(export)))
    assert (config.exporters, config.folders) == (["torch"], [export])


@pytest.mark.slow
def test_a_network_of_keras_applications_that_is_another_is_refused():
    """A name says little: ResNet50V1 with basic units has it too."""
    model = keras_resnet.ResNet20V1(input_shape=(32, 32, 3))
    with pytest.raises(UserError, match=r"keras\.applications' ResNet50 has other convolutions than this resnet20v1"):
        keras_export.application_like(model, "ResNet50")


def test_the_source_is_the_one_given_or_the_reports(export, source, tmp_path):
    assert LatencyConfig(export).source_path == source
    shutil.copy(export / "model.onnx", tmp_path)
    (tmp_path / RECORD).write_text(export_record("ResNet20V2", source_path="gone.keras"))
    assert LatencyConfig(tmp_path, source).source_path == source
    with pytest.raises(UserError, match=r"was made from gone\.keras, which is not there: give --model_path"):
        runner.benchmark(LatencyConfig(tmp_path))
    (tmp_path / RECORD).write_text(export_record("ResNet20V2"))
    with pytest.raises(UserError, match="does not name the file"):
        runner.benchmark(LatencyConfig(tmp_path, baselines=("keras",)))
    with pytest.raises(UserError, match="no file gone"):
        runner.benchmark(LatencyConfig(tmp_path, "gone"))


def test_a_folder_without_a_proven_artifact_is_refused(export, tmp_path):
    (tmp_path / RECORD).write_text(export_record("ResNet20V2"))
    for name in ("model_failed.onnx", "somebody_elses.onnx", ".model.onnx.1234.old"):
        shutil.copy(export / "model.onnx", tmp_path / name)
    with pytest.raises(UserError, match="no artifact that passed"):
        find_artifacts(tmp_path, OURS)


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (("--output_dir=nowhere",), ["no folder nowhere"]),
        (("--output_dir=/",), ["/ has no report.json"]),
        ((), ["needs --output_dir"]),
        (("--output_dir=EXPORT", "--threads=0"), ["threads is 0", "1,2"]),
        (("--output_dir=EXPORT", "--threads=1,two"), ["'two'", "1,2"]),
        (("--output_dir=EXPORT", "--threads="), ["threads is empty"]),
        (("--output_dir=EXPORT", "--baselines=nobody"), ["nobody", "keras, applications, torch, and folders"]),
        (("--output_dir=EXPORT", "--baselines=applications"), ["keras.applications has no ResNet20V2", "ResNet50V1"]),
        (("--output_dir=EXPORT", "--baselines=/"), ["/ has no report.json"]),
        (("--output_dir=EXPORT", "--model_path=gone.keras"), ["no file gone.keras"]),
        (("--output_dir=EXPORT", "--rounds=0"), ["rounds"]),
        (("--output_dir=EXPORT", "--block=basic"), ["--task=export does not take --block"]),
    ],
)
def test_a_mistake_is_one_line(flags, parts, export):
    flags = [flag.replace("EXPORT", str(export)) for flag in flags]
    done = keras_resnet_command("benchmark", "--task=export", *flags)
    assert (done.returncode, done.out, len(done.err.splitlines())) == (2, "", 1), done.err
    for part in parts:
        assert part in done.err


@pytest.mark.slow
def test_the_command_measures_an_export_against_others(export, source, tmp_path):
    flags = (
        f"--output_dir={export}",
        f"--model_path={source}",
        "--rounds=2",
        "--steps=2",
        "--threads=2,1",
        "--baselines=torch",
    )
    done = keras_resnet_command("benchmark", "--task=export", *flags, f"--json={tmp_path / 'b.json'}")
    assert done.err == ""
    record = json.loads((tmp_path / "b.json").read_text())
    entries = {(entry["title"], entry["threads"]): entry for entry in record["candidates"]}
    titles = ["saved_model", "model.tflite", "model.onnx", "PyTorch, ONNX"]
    assert list(entries) == [(title, threads) for threads in (2, 1) for title in titles]
    assert entries["saved_model", 1]["bytes"] > entries["model.tflite", 1]["bytes"] > 1_000_000
    assert entries["saved_model", 1]["peak_memory"] > 2 * entries["model.tflite", 1]["peak_memory"] > 50
    failed = entries["PyTorch, ONNX", 1]["failure"]
    assert done.returncode == (1 if failed else 0), "PyTorch was asked for"
    if failed:
        assert "PyTorch is not installed; pip install keras-resnet-zoo[torch]" in done.out
    else:
        assert len(entries["model.onnx", 2]["ratios"]["torch"]["rounds"]) == 2
    assert {name for name, threads in entries if entries[name, threads]["ratios"]} <= {"model.onnx"}
