"""Catches an artifact that evaluate or predict cannot read, misreads, or trusts too much."""

import os
import subprocess
import sys

import keras
import pytest
from conftest import assert_refused
from PIL import Image

from keras_resnet.metadata import ClassifierMetadata

ARTIFACTS = ("model.keras", "export/saved_model", "export/model.tflite", "export/model.onnx")
EVALUATE_ALL = """
import sys
from keras_resnet import cli
data_dir, *artifacts = sys.argv[1:]
sys.exit(max(cli.command.main(cli.COMMANDS, ["evaluate", data_dir, artifact]) for artifact in artifacts))"""


def test_evaluate_reads_every_kind_of_artifact_and_is_quiet(run, exported, data_dir):
    """One fresh process for all four, as its start takes longer than they do: nothing is loaded when the first begins."""
    accuracy = run.out.splitlines()[-1].split()[2].rstrip(",")
    command = [sys.executable, "-P", "-c", EVALUATE_ALL, f"--data_dir={data_dir}"]
    command += [f"--model_path={run.workdir / name}" for name in ARTIFACTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(ARTIFACTS)
    for line in lines:
        assert line.startswith(f"top-1 {accuracy}  top-5 ")
        assert line.endswith("images 360")


@pytest.mark.parametrize("name", ARTIFACTS)
def test_predict_prints_labels_and_scores(name, run, exported, tmp_path, in_process):
    for index in range(2):
        Image.new("RGB", (30, 20), (90 * index,) * 3).save(tmp_path / f"{index}.png")
    images = [tmp_path / f"{index}.png" for index in range(2)]
    done = in_process("predict", f"--model_path={run.workdir / name}", "--top=2", *images)
    assert (done.returncode, done.err) == (0, "")
    for line, image in zip(done.out.splitlines(), images, strict=True):
        path, _, answers = line.partition(": ")
        assert path == str(image)
        first, second = (answer.split() for answer in answers.split(", "))
        assert {first[0], second[0]} <= set("0123456789")
        assert float(first[1]) >= float(second[1])


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".keras"])
def test_a_truncated_artifact_is_refused(suffix, run, exported, tmp_path, in_process):
    source = next(path for path in (run.workdir / "model.keras", *exported.folder.iterdir()) if path.suffix == suffix)
    (tmp_path / f"m{suffix}").write_bytes(source.read_bytes()[:100_000])
    assert_refused(in_process("evaluate", f"--model_path={tmp_path / f'm{suffix}'}"), f"m{suffix}")


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_a_model_that_holds_code_is_refused_and_not_run(command, run, data_dir, tmp_path, in_process):
    """The file is a classifier of ours in all but its Lambda layer, which would leave a file behind."""
    path = str(tmp_path / "ran")
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1])(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "bad.keras")
    ClassifierMetadata.read_from(run.workdir / "model.keras").write_into(tmp_path / "bad.keras")
    os.unlink(path)
    flags = [f"--model_path={tmp_path / 'bad.keras'}", f"--data_dir={data_dir}"]
    flags += [f"--output_dir={tmp_path / 'out'}"] if command == "export" else []
    assert_refused(in_process(command, *flags), "bad.keras cannot be loaded", "Lambda")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.keras"]
