"""Catches a training command that is noisy, writes where it must not, or dies with a traceback."""

import json
import sys

import pytest
from conftest import FULL_DISK, assert_refused, keras_resnet_command
from forked import forked_command


def test_training_is_quiet_but_for_its_own_lines(run):
    assert run.err == ""
    lines = run.out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["epoch", f"{epoch}/8"] for epoch in range(1, 9)]
    assert lines[-1].startswith("test accuracy ")


@pytest.mark.skipif(sys.platform != "linux", reason="stands on RLIMIT_FSIZE")
def test_a_disk_that_fills_up_while_training_is_said_in_one_line(data_dir, tmp_path):
    done = forked_command(
        "train", "--model=ResNet20V2", "--dataset=digits", f"--workdir={tmp_path / 'new'}", f"--data_dir={data_dir}",
        "--epochs=1", before=FULL_DISK.format(500_000),
    )  # fmt: skip
    assert done.returncode == 2
    assert done.err.splitlines() == [f"keras-resnet: File too large ({tmp_path / 'new' / 'checkpoints' / 'best'})"]
    assert not (tmp_path / "new" / "model.keras").exists()


@pytest.mark.parametrize(
    ("variables", "keras_json", "parts"),
    [
        ({"KERAS_BACKEND": "jax"}, {}, ["KERAS_BACKEND is 'jax'", "tensorflow only"]),
        ({}, {"image_data_format": "channels_first"}, ["image_data_format is 'channels_first'", "channels_last only"]),
    ],
)
def test_a_keras_that_is_set_up_for_something_else_is_refused_before_anything_is_written(
    variables, keras_json, parts, tmp_path, monkeypatch
):
    (tmp_path / "keras.json").write_text(json.dumps(keras_json))
    for name, value in {"KERAS_HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    done = keras_resnet_command("train", "--model=ResNet20V2", "--dataset=digits", f"--workdir={tmp_path / 'run'}")
    assert_refused(done, *parts)
    assert not (tmp_path / "run").exists()
