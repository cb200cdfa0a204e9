"""Catches a night's work that is lost: the command killed at any moment, and what its processes do then."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fake_runs import before, results, tries

from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.reproduce import session

SECONDS = 120  # after which what is waited for is not going to happen


@pytest.fixture(autouse=True)
def fakes_on_the_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


def start(folder, program, *arguments):
    """The command as a terminal starts it, with an experiment `tiny` in its table that `program` puts there."""
    command = ["reproduce", "--experiment=tiny", f"--output_dir={folder}", *arguments]
    code = f"{program}; from keras_resnet.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(what, process):
    deadline = time.monotonic() + SECONDS
    while not what():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"it did not come to it: {process.communicate()}")
        time.sleep(0.05)


def wait_for_the_end(processes):
    _, alive = psutil.wait_procs(processes, timeout=SECONDS)
    assert not alive


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_however_the_command_ends_its_processes_save_and_it_goes_on(number, status, tmp_path):
    """Ctrl-C reaches the command alone, and not all that its terminal started. Nobody tells the others that it was killed."""
    folder, program = tmp_path / "tiny-small", before("slow a", "slow b", "done", pictures=False)
    process = start(tmp_path, program, "--jobs=3")
    runs = folder / "runs"
    wait_for(lambda: len([*runs.glob("slow*/begun"), *runs.glob("done*.json")]) == 3, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == status, err
    wait_for_the_end(workers)
    assert {path.parent.name for path in runs.glob("*/saved")} == {"slow_a_seed0", "slow_b_seed0"}
    assert {path.name for path in folder.iterdir()} == {"runs"}
    assert set(results(folder)) == {"done_seed0"}
    if number != signal.SIGKILL:
        assert err == "keras-resnet: stopped after 1 of 3 runs; the same command continues\n"
        assert "3 runs, 0 of them done; 3 at a time" in out
    (runs / "go").touch()
    process = start(tmp_path, program, "--jobs=3")
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert "3 runs, 1 of them done" in out
    assert tries(folder) == {"done_seed0": 1, "slow_a_seed0": 2, "slow_b_seed0": 2}
    assert {path.name for path in folder.iterdir()} == {"runs", "report.html", "result.json"}


def test_a_killed_process_is_a_failed_run_with_exit_status_1_and_the_same_command_repeats_it(tmp_path):
    folder, program = tmp_path / "tiny-small", before("done a", "done b", "slow", pictures=False)
    process = start(tmp_path, program, "--jobs=1")
    wait_for(lambda: (folder / "runs" / "slow_seed0" / "begun").exists(), process)
    (worker,) = psutil.Process(process.pid).children(recursive=True)
    worker.kill()
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (1, "")
    assert "1 of 3 runs failed; the same command runs them again:\nslow, seed 0: killed by SIGKILL\n" in out
    assert json.loads((folder / "result.json").read_text())["failed"] == ["slow, seed 0: killed by SIGKILL"]
    assert "slow, seed 0: killed by SIGKILL" in (folder / "report.html").read_text()
    (folder / "runs" / "go").touch()
    process = start(tmp_path, program, "--jobs=1")
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert json.loads((folder / "result.json").read_text())["failed"] == []
    assert tries(folder) == {"done_a_seed0": 1, "done_b_seed0": 1, "slow_seed0": 2}


@pytest.mark.slow
def test_real_runs_whose_parent_is_killed_train_no_epoch_twice_and_end_with_a_report(tmp_path, data_dir):
    folder = tmp_path / "tiny-small"
    workdir, real = folder / "runs" / "a_seed0", f"{session.__name__}.RunSession"
    arguments = (tmp_path, before("a", "b", session=real), "--jobs=1", "--epochs=4", f"--data_dir={data_dir}")
    process = start(*arguments)
    wait_for(lambda: workdir.is_dir() and len(read_metrics(workdir)) >= 2, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=SECONDS)
    wait_for_the_end(workers)
    assert list((workdir / "checkpoints").glob("ckpt-*.index"))
    assert results(folder) == {}
    epochs = read_metrics(workdir)
    process = start(*arguments)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    found = results(folder)
    assert [[epoch["epoch"] for epoch in result["epochs"]] for result in found.values()] == [[1, 2, 3, 4]] * 2
    assert found["a_seed0"]["epochs"][: len(epochs)] == epochs
    losses = [result["epochs"][0]["loss"] for result in found.values()]
    assert losses[0] == pytest.approx(losses[1], rel=0.02), "they differ in their label alone"
    assert "2 of 2: b, seed 0: test error" in out
    record = json.loads((folder / "result.json").read_text())
    assert [run["arm"] for run in record["runs"]] == ["a", "b"]
    assert record["claims"][0]["outcome"] == "not shown"
    assert (folder / "report.html").stat().st_size > 20_000
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob("**/checkpoints"))
