"""Catches a self-test whose result the command does not show, or that it ends with the wrong status."""

import json

from life.selftests import write_export

from keras_resnet.export.selftest import machine


def test_all_that_was_found_is_shown_and_written(tmp_path, in_process):
    folder = write_export(tmp_path / "export")
    done = in_process("verify", folder, f"--json={tmp_path / 'found.json'}")
    assert (done.returncode, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["artifact", "result", "largest", "difference", "agreement", "why"]
    assert lines[1].split()[:2] == ["model.onnx", "passed"]
    assert lines[3] == f"on {machine.describe_cpu()}"
    assert lines[4].startswith("with python 3.")
    assert "onnxruntime 1." in lines[4]
    assert lines[5] == "All artifacts passed, on 32 images."
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["model"], found["images"], found["cpu"]) == ("Net", 32, machine.describe_cpu())
    assert [artifact["verdict"] for artifact in found["artifacts"]] == ["passed", "passed"]
    assert found["artifacts"][0]["outputs"]["probabilities"]["max_difference"] <= 1e-6


def test_what_fails_ends_with_1_and_says_why(tmp_path, in_process):
    folder = write_export(tmp_path / "export")
    (folder / "model.onnx").unlink()
    done = in_process("verify", folder)
    assert (done.returncode, done.err) == (1, "")
    assert "model.onnx       FAILED" in done.out
    assert "model.onnx is missing" in done.out
    assert done.out.splitlines()[-1] == "1 of 2 artifacts passed, 1 failed, on 32 images."
