"""Catches a run that takes the others along, one that is done twice or never, and a mistake that is made thirty times."""

import os
import signal
import time
from pathlib import Path

import fake_runs
import psutil
import pytest
from fake_runs import results, tries

from keras_resnet import UserError
from keras_resnet.errors import TrainingInterrupted
from keras_resnet.training.reproduce import config, reproduce, runner
from keras_resnet.training.reproduce.config import ReproduceConfig
from keras_resnet.training.reproduce.experiments import EXPERIMENTS


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """Does an experiment of fake runs in a folder; returns what it came to, and the lines that it printed."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.setitem(EXPERIMENTS, "tiny", None)
    monkeypatch.setattr(runner, "SESSION", fake_runs.SESSION)
    monkeypatch.setattr(config, "cores", lambda: 2)
    monkeypatch.setattr(config, "visible_gpus", list)
    monkeypatch.setattr(reproduce, "write_report", lambda reproduction, folder: (folder / "report.html").touch())

    def do(*labels, seeds=(0,), on_line=lambda line: None, **given):
        fake_runs.install(*labels, seeds=seeds)
        lines = []
        asked = ReproduceConfig("tiny", "small", tmp_path / "out", **given)
        return reproduce.reproduce(asked, report_progress=lambda line: (lines.append(line), on_line(line))), lines

    return do


def test_every_run_is_done_once_and_none_again(fakes, tmp_path):
    found, lines = fakes("done a", "done b", seeds=(0, 1))
    done = [(result.arm, result.seed) for result in found.results]
    assert done == [("done a", 0), ("done a", 1), ("done b", 0), ("done b", 1)]
    assert lines[0] == "4 runs, 0 of them done; 2 at a time"
    assert sorted(line.partition(" of 4")[0] for line in lines[1:]) == ["1", "2", "3", "4"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"runs", "result.json", "report.html"}
    found, lines = fakes("done a", "done b", seeds=(0, 1))
    assert (len(found.results), lines) == (4, [])
    assert set(tries(tmp_path).values()) == {1}


def test_seeds_of_an_earlier_call_are_left_out_of_the_report(fakes, tmp_path):
    fakes("done a", "done b", seeds=(0, 1))
    (tmp_path / "out" / "runs" / "done_a_seed9.json").write_text("{}")  # of another plan
    found, lines = fakes("done a", seeds=(1, 7))
    assert lines[0] == "2 runs, 1 of them done; 1 at a time"
    assert sorted(result.seed for result in found.results) == [0, 1, 7]
    assert {result.arm for result in found.results} == {"done a"}


def test_two_commands_do_not_work_in_one_folder(fakes, tmp_path):
    fakes("done a")
    with (
        reproduce.locked(tmp_path / "out" / "runs"),
        pytest.raises(UserError, match=r"reproducing an experiment in .*: wait for it, or choose another --output_dir"),
    ):
        fakes("done a")


def test_what_is_left_is_all_that_is_done(fakes, tmp_path):
    fakes("done a", "done b", seeds=(0, 1))
    (tmp_path / "out" / "runs" / "done_a_seed1.json").unlink()
    found, lines = fakes("done a", "done b", "done c", seeds=(0, 1))
    assert lines[0] == "6 runs, 3 of them done; 2 at a time"
    assert len(found.results) == 6
    assert tries(tmp_path) == {
        "done_a_seed0": 1, "done_a_seed1": 2, "done_b_seed0": 1, "done_b_seed1": 1, "done_c_seed0": 1, "done_c_seed1": 1,
    }  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_run_whose_process_dies_is_named_and_the_others_are_done(jobs, fakes, tmp_path):
    found, _ = fakes("done a", "killed", "broken", "done b", jobs=jobs)
    assert [result.arm for result in found.results] == ["done a", "done b"]
    assert sorted(found.failed) == ["broken, seed 0: ZeroDivisionError: a bug", "killed, seed 0: killed by SIGKILL"]
    assert set(results(tmp_path / "out")) == {"done_a_seed0", "done_b_seed0"}
    found, lines = fakes("done a", "killed", "done b", jobs=jobs)
    assert lines[0].startswith("3 runs, 2 of them done")
    assert (len(found.results), found.failed) == (3, ())
    assert tries(tmp_path)["killed_seed0"] == 2


def test_a_divergence_is_a_result(fakes, tmp_path):
    found, lines = fakes("diverged", "done a")
    assert found.failed == ()
    assert [result.status for result in found.results] == ["diverged", "done"]
    assert any("the loss is nan at step 3" in line for line in lines)
    fakes("diverged", "done a")
    assert set(tries(tmp_path).values()) == {1}


def test_a_mistake_of_the_users_ends_the_work_with_its_line(fakes, tmp_path):
    """A data set that is not there is not there for the other runs either."""
    with pytest.raises(UserError, match="unknown dataset 'digts'"):
        fakes("mistaken a", "mistaken b", "mistaken c", "slow", jobs=1)
    assert sum(tries(tmp_path).values()) == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"runs"}, "a report without a run"


def test_a_mistake_lets_the_other_processes_save(fakes, tmp_path):
    begun = tmp_path / "out" / "runs" / "slow_seed0" / "begun"

    def wait(line):
        while "done" in line and "at a time" not in line and not begun.exists():
            time.sleep(0.02)

    with pytest.raises(UserError, match="unknown dataset 'digts'"):
        fakes("slow", "done", "mistaken", jobs=2, on_line=wait)
    assert (begun.parent / "saved").exists()
    assert set(results(tmp_path / "out")) == {"done_seed0"}


def test_an_error_of_who_reads_the_lines_is_raised_and_no_thread_dies_unseen(fakes, tmp_path):
    def fail(line):
        if line.startswith("1 of"):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        fakes("done a", "done b", "done c", jobs=1, on_line=fail)
    assert set(results(tmp_path / "out")) == {"done_a_seed0"}


def test_a_process_that_cannot_start_ends_the_work(fakes, monkeypatch, tmp_path):
    fake_runs.install("done a")
    monkeypatch.setattr(runner, "SESSION", "fake_runs.Absent")
    with pytest.raises(UserError, match="Absent"):
        reproduce.reproduce(ReproduceConfig("tiny", "small", tmp_path / "out"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_all_processes_save_and_the_same_request_goes_on(number, fakes, tmp_path):
    runs = tmp_path / "out" / "runs"
    processes = []

    def stop(line):
        if line.startswith("1 of"):
            while len(list(runs.glob("slow*/begun"))) < 2:
                time.sleep(0.02)
            children = psutil.Process().children()  # those of earlier tests may be among them
            processes.extend(child for child in children if "benchmarks.worker" in " ".join(child.cmdline()))
            os.kill(os.getpid(), number)

    with pytest.raises(TrainingInterrupted, match="stopped after 1 of 3 runs; the same command continues") as error:
        fakes("slow a", "slow b", "done", jobs=3, on_line=stop)
    assert error.value.signal == number
    assert {path.parent.name for path in runs.glob("*/saved")} == {"slow_a_seed0", "slow_b_seed0"}
    assert len(processes) >= 2
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"runs"}
    (runs / "go").touch()
    found, lines = fakes("slow a", "slow b", "done", jobs=3)
    assert lines[0].startswith("3 runs, 1 of them done")
    assert len(found.results) == 3
    assert tries(tmp_path) == {"done_seed0": 1, "slow_a_seed0": 2, "slow_b_seed0": 2}


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "it is not JSON"), ('{"arm": "a"', "it is not JSON"), ('{"arm": "a"}', "it has no seed"), ("[]", "a list of 0")],
)
def test_a_damaged_result_is_named_in_one_line_and_nothing_runs(content, reason, fakes, tmp_path):
    path = tmp_path / "out" / "runs" / "done_a_seed0.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UserError, match=f"done_a_seed0.json is damaged .*{reason}.*: remove it") as error:
        fakes("done a", "done b")
    assert len(str(error.value).splitlines()) == 1
    assert tries(tmp_path) == {}


def test_the_result_of_another_request_is_not_taken_for_this_ones(fakes):
    fakes("done a", epochs=2)
    with pytest.raises(UserError, match=r"done_a_seed0.json is of a run with another configuration: choose another"):
        fakes("done a", epochs=3)


def test_a_data_set_that_has_moved_is_not_another_run(fakes, tmp_path):
    fakes("done a", data_dir="here")
    assert len(fakes("done a", data_dir="there")[0].results) == 1
    assert set(tries(tmp_path).values()) == {1}


def test_a_folder_with_something_else_is_left_alone(fakes, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("ours")
    with pytest.raises(UserError, match="out is not empty and holds no runs of an experiment: choose another --output_dir"):
        fakes("done a")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_file_is_not_a_folder(fakes, tmp_path):
    (tmp_path / "out").write_text("ours")
    with pytest.raises(UserError, match="out is not a folder"):
        fakes("done a")
    assert (tmp_path / "out").read_text() == "ours"


def test_the_longest_runs_begin_first(tmp_path):
    runs = reproduce.longest_first(ReproduceConfig("preactivation", "full", tmp_path).runs())
    depths = [reproduce.layers(run) for run in runs]
    assert depths == sorted(depths, reverse=True)
    assert depths[0] == 1001
