"""Catches an export command that passes what failed, leaves a mess, or cannot export what somebody else trained."""

import os
import signal
import sys

import keras
import pytest
from conftest import FULL_DISK, assert_refused
from forked import forked_command
from PIL import Image

from keras_resnet.cli.export import exit_on_sigterm


def test_exporting_is_quiet_but_for_its_own_table(exported):
    assert exported.err == ""
    assert exported.out.splitlines()[-1] == f"report: {exported.folder / 'report.html'}"
    assert "saved_model" in exported.out


# The model's own file is larger than what is made of it, and Keras writes it out to load it.
DISK_FULL_AFTER_LOADING = f"""from keras_resnet.export import pipeline
make_folder = pipeline.temporary_folder
def on_a_full_disk(folder):
    exec({FULL_DISK.format(800_000)!r}, {{}})
    return make_folder(folder)
pipeline.temporary_folder = on_a_full_disk"""


@pytest.mark.skipif(sys.platform != "linux", reason="stands on RLIMIT_FSIZE")
def test_a_disk_that_fills_up_while_exporting_leaves_the_earlier_artifacts_whole(run, data_dir, tmp_path, in_process):
    folder = tmp_path / "out"
    arguments = ("export", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", f"--output_dir={folder}")
    assert in_process(*arguments, "--formats=onnx").returncode == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = forked_command(*arguments, "--formats=onnx,tflite", before=DISK_FULL_AFTER_LOADING)
    assert_refused(done, "File too large", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_gate_that_is_not_passed_ends_with_1_and_no_file_of_the_final_name(run, data_dir, tmp_path, in_process):
    done = in_process(
        "export", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", f"--output_dir={tmp_path / 'out'}",
        "--formats=tflite", "--quantize=none,fp16", "--max_difference=1e-5",
    )  # fmt: skip
    assert (done.returncode, done.err) == (1, "")
    assert "tflite_fp16 differs by " in done.out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.tflite", "model_fp16_failed.tflite"} <= names
    assert "model_fp16.tflite" not in names


def test_somebody_elses_network_is_exported_and_predicts(tmp_path, in_process, rng):
    """A Keras file without labels, and a folder of images of another size, as a user has them."""
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "images" / split / label).mkdir(parents=True)
            for index in range(12):
                pixels = rng.integers(0, 256, (20, 24, 3)).astype("uint8")
                Image.fromarray(pixels).save(tmp_path / "images" / split / label / f"{index}.png")
    layers = [keras.layers.Conv2D(8, 3, strides=2, use_bias=False), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")]
    keras.Sequential([keras.Input((32, 32, 3)), *layers, *head]).save(tmp_path / "theirs.keras")
    done = forked_command(
        "export", f"--model_path={tmp_path / 'theirs.keras'}", "--normalization=tf", "--dataset=folder",
        f"--data_dir={tmp_path / 'images'}", f"--output_dir={tmp_path / 'out'}", "--formats=tflite", "--quantize=none,int8",
        "--max_accuracy_drop=100",
    )  # fmt: skip
    assert (done.returncode, done.err) == (0, "")
    image = tmp_path / "images" / "test" / "cat" / "0.png"
    done = in_process("predict", f"--model_path={tmp_path / 'out' / 'model_int8.tflite'}", image)
    assert (done.returncode, done.err) == (0, "")
    assert {"cat", "dog"} <= set(done.out.replace(",", "").split())


def test_sigterm_cleans_up_and_what_it_did_before_it_does_again():
    before, cleaned = signal.getsignal(signal.SIGTERM), []

    @exit_on_sigterm()
    def terminated():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            cleaned.append(True)

    with pytest.raises(SystemExit, match="143"):
        terminated()
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) == before
