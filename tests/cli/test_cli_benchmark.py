"""Catches a benchmark command that does not measure or does not write what it measured; `train` has its own tests."""

import json

import pytest


@pytest.mark.parametrize(("task", "unit"), [("fit", "images/s"), ("build", "seconds")])
def test_benchmark_prints_a_ratio_and_writes_what_it_measured(task, unit, tmp_path, in_process):
    done = in_process(
        "benchmark",
        f"--task={task}",
        "--model=ResNet20V2",
        "--batch_size=2",
        "--image_size=8",
        "--steps=1",
        "--rounds=2",
        "--baselines=stock",
        f"--json={tmp_path}/b.json",
    )
    assert (done.returncode, done.err) == (0, "")
    assert unit in done.out
    record = json.loads((tmp_path / "b.json").read_text())
    assert len(record["ratios"]) == len(record["ours"]) == len(record["stock"]) == 2
    assert record["config"]["model"] == "ResNet20V2"
