"""Catches a request that is wrong and runs for an hour before it says so, and a help that does not say what there is."""

import os
import subprocess
import sys

import pytest
from conftest import assert_refused

from keras_resnet import cli
from keras_resnet.training.reproduce import runner
from keras_resnet.training.reproduce.experiments import BUDGETS, EXPERIMENTS

REPRODUCE = ("reproduce", "--experiment=degradation")


@pytest.fixture
def nothing_runs(monkeypatch):
    monkeypatch.setattr(runner.RunPool, "run", lambda pool, stop_signal: pytest.fail("it has begun to run"))
    return monkeypatch


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("reproduce",), ["reproduce needs --experiment"]),
        (("reproduce", "--experiment=depth"), ["unknown experiment 'depth'", "degradation, preactivation", "thousand", "all"]),
        (("reproduce", "--experiment=units,depth"), ["unknown experiment 'depth'"]),
        (("reproduce", "units"), ["takes flags only, not units"]),
        ((*REPRODUCE, "--budget=medium"), ["unknown budget 'medium'", "small, full"]),
        ((*REPRODUCE, "--seeds=0,1,0"), ["seeds are 0, 1, 0", "once"]),
        ((*REPRODUCE, "--seeds=-1"), ["seeds have -1"]),
        ((*REPRODUCE, "--seeds=one"), ["seeds", "one"]),
        ((*REPRODUCE, f"--seeds={2**31}"), ["2147483648"]),
        ((*REPRODUCE, "--epochs=0"), ["epochs", "0"]),
        ((*REPRODUCE, "--epochs=-3"), ["epochs", "-3"]),
        ((*REPRODUCE, "--jobs=0"), ["jobs", "0"]),
        ((*REPRODUCE, "--jobs=100000"), ["jobs is 100000", "at most"]),
        ((*REPRODUCE, "--seed=1"), ["unknown flag --seed", "--seeds"]),
        ((*REPRODUCE, "--output_dir={0}/a.txt"), ["a.txt"]),
        ((*REPRODUCE, "--output_dir={0}/other"), ["degradation-small is not empty and holds no runs of an experiment"]),
        ((*REPRODUCE, "--output_dir=/proc/new"), ["/proc/new"]),
    ],
)
def test_a_mistake_ends_with_2_and_one_line_before_anything_runs(arguments, parts, tmp_path, in_process, nothing_runs):
    nothing_runs.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "other" / "degradation-small").mkdir(parents=True)
    (tmp_path / "other" / "degradation-small" / "thesis.txt").write_text("ours")
    assert_refused(in_process(*(argument.format(tmp_path) for argument in arguments)), *parts)
    assert {path.name for path in tmp_path.rglob("*")} == {"a.txt", "other", "degradation-small", "thesis.txt"}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="a folder that its owner cannot write to")
def test_a_folder_that_cannot_be_written_is_named(tmp_path, in_process, nothing_runs):
    tmp_path.chmod(0o500)
    assert_refused(in_process(*REPRODUCE, f"--output_dir={tmp_path}/out"), "out")


def test_a_data_set_that_does_not_exist_is_one_line_and_no_other_runs_begin(tmp_path, in_process):
    done = in_process(*REPRODUCE, "--dataset=digts", "--jobs=1", f"--output_dir={tmp_path}")
    assert done.returncode == 2
    assert len(done.err.splitlines()) == 1
    assert "unknown dataset 'digts'" in done.err
    assert len(done.out.splitlines()) <= 2
    assert [path.name for path in tmp_path.rglob("*")] == ["degradation-small", "runs", ".lock"]


def test_the_help_has_every_experiment_and_every_budget_with_what_they_ask(in_process, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = " ".join(in_process("reproduce", "--help").out.split())
    for name, row in EXPERIMENTS.items():
        assert f"{name}: {row.question}" in text
    assert all(budget in text for budget in (*BUDGETS, "all"))
    assert cli.COMMANDS["reproduce"].example in text


@pytest.mark.parametrize("experiment", [*EXPERIMENTS, "all", ",".join(EXPERIMENTS)])
def test_the_command_line_of_the_documentation_is_taken(experiment, in_process, tmp_path, monkeypatch):
    """With every name, and each experiment once in a folder of its own."""
    asked = []
    monkeypatch.setattr(f"{cli.reproduce.__name__}.run_experiment", lambda config, verbosity: asked.append(config) or 0)
    done = in_process("reproduce", f"--experiment={experiment}", "--budget=small", "--seeds=0,1,2", f"--output_dir={tmp_path}")
    assert (done.returncode, done.err) == (0, "")
    expected = [experiment] if experiment in EXPERIMENTS else list(EXPERIMENTS)
    assert [config.experiment for config in asked] == expected
    assert [config.output_dir for config in asked] == [tmp_path / f"{name}-small" for name in expected]
    assert {config.seeds for config in asked} == {(0, 1, 2)}


def test_the_status_is_that_of_the_worst_experiment(in_process, monkeypatch):
    monkeypatch.setattr(f"{cli.reproduce.__name__}.run_experiment", lambda config, verbosity: int(config.experiment == "units"))
    assert in_process("reproduce", "--experiment=degradation,units,thousand").returncode == 1


def test_the_command_loads_no_tensorflow_before_it_knows_what_to_do():
    """Sixteen processes with TensorFlow in them are enough: this one needs none."""
    program = "import sys; from keras_resnet.cli import COMMANDS; COMMANDS['reproduce'].new_flags(); "
    program += "from keras_resnet.training.reproduce import reproduce; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", program], check=False).returncode == 0
