"""Catches a request that starts hours of work and fails in the middle, and changes that do not reach the runs."""

import dataclasses
from types import SimpleNamespace

import pytest

from keras_resnet import UserError
from keras_resnet.training.reproduce import config as module
from keras_resnet.training.reproduce.config import MAX_JOBS, MOST_JOBS, ReproduceConfig, runs_at_a_time, slug
from keras_resnet.training.reproduce.experiments import EXPERIMENTS


def config(folder, **given):
    return ReproduceConfig(**{"experiment": "degradation", "budget": "small", "output_dir": folder, **given})


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"experiment": "depth"}, ["unknown experiment 'depth'", "degradation", "thousand"]),
        ({"budget": "medium"}, ["unknown budget 'medium'", "small, full"]),
        ({"seeds": (1, 2, 1)}, ["seeds are 1, 2, 1", "once"]),
        ({"seeds": (0, -1)}, ["seeds have -1", "at least 0"]),
        ({"seeds": (2**31,)}, ["2147483648", "below 2**31"]),
        ({"seeds": tuple(range(101))}, ["seeds has 101 values", "at most 100"]),
        ({"epochs": -1}, ["epochs is -1"]),
        ({"epochs": 2**31}, ["epochs is 2147483648"]),
        ({"jobs": -1}, ["jobs is -1"]),
        ({"jobs": MAX_JOBS + 1}, [f"jobs is {MAX_JOBS + 1}", f"at most {MAX_JOBS}"]),
    ],
)
def test_a_wrong_value_is_named_before_anything_runs(given, parts, tmp_path):
    with pytest.raises(UserError) as error:
        config(tmp_path, **given)
    assert all(part in str(error.value) for part in parts)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_given_takes_the_place_of_the_plans_in_every_run_and_in_what_the_report_says(name, tmp_path):
    """Networks with epochs, seeds or a data set of their own too."""
    changed = config(tmp_path, experiment=name, dataset="cifar100", data_dir="there", epochs=3, seeds=(7, 8))
    assert changed.plan.dataset == "cifar100"
    runs = changed.runs()
    assert {(run.config.dataset, run.config.recipe.epochs, run.config.data_dir) for run in runs} == {("cifar100", 3, "there")}
    assert len(runs) == 2 * len(changed.row.plans["small"].arms)
    assert {run.config.seed for run in runs} == {7, 8}
    assert changed.row.plans["small"] == config(tmp_path, experiment=name).plan, "the table itself has changed"


def test_a_change_keeps_what_a_network_is_trained_with_otherwise(tmp_path):
    plain, changed = config(tmp_path, experiment="preactivation"), config(tmp_path, experiment="preactivation", epochs=2)
    for one, other in zip(plain.runs(), changed.runs(), strict=True):
        assert dataclasses.replace(one.config.recipe, epochs=2) == other.config.recipe


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("conv1x1", "conv1x1"),
        ("exclusive_gating(-6)", "exclusive_gating_-6"),
        ("a at 0.03", "a_at_0.03"),
        ("a/b: c?", "a_b__c"),
    ],
)
def test_a_label_is_a_folder_on_every_system(label, name):
    assert slug(label) == name


@pytest.mark.parametrize(
    ("cores", "gpus", "gigabytes", "asked", "runs", "expected"),
    [
        (1, 0, 8, 0, 30, 1),
        (2, 0, 8, 0, 30, 2),
        (2, 0, 8, 0, 1, 1),
        (2, 0, 8, 0, 0, 1),
        (2, 0, 8, 5, 30, 5),
        (8, 0, 7, 0, 30, 3),
        (8, 0, 1, 0, 30, 1),
        (64, 0, 256, 0, 30, MOST_JOBS),
        (64, 0, 256, 20, 30, 20),
        (64, 0, 256, 500, 30, 30),
        (64, 2, 256, 0, 30, 1),
    ],
)
def test_runs_share_cores_and_memory_and_a_gpu_is_not_shared(cores, gpus, gigabytes, asked, runs, expected, monkeypatch):
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=gigabytes * 10**9))
    monkeypatch.setattr(module, "cores", lambda: cores)
    monkeypatch.setattr(module, "visible_gpus", lambda: [str(gpu) for gpu in range(gpus)])
    assert runs_at_a_time(asked, runs) == expected
