"""Catches a run whose result is not that of its training, and one that cannot be made again."""

import dataclasses
import json
import shutil

import pytest

from keras_resnet import UserError
from keras_resnet.models.options import ModelOptions
from keras_resnet.training import train
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.recipes import get_recipe
from keras_resnet.training.reproduce.measures import MEASURES
from keras_resnet.training.reproduce.results import DIVERGED, DONE, RunResult
from keras_resnet.training.reproduce.session import RunSession, result_path


def config(**overrides):
    recipe = get_recipe("digits", **{"epochs": 2, "batch_size": 256, **overrides})
    options = ModelOptions(width_multiplier=0.25)
    return TrainConfig("ResNet20V2", "digits", "digits", recipe, options=options, seed=3, strategy="one_device")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of a run that has come to its end."""
    folder = tmp_path_factory.mktemp("runs") / "a_seed3"
    RunSession().run("a", config().to_dict(), str(folder), trains=True)
    return folder


def test_a_result_is_what_the_training_left(done):
    result = RunResult.read(result_path(done), config().to_dict())
    assert (result.arm, result.seed, result.status, result.message) == ("a", 3, DONE, "")
    assert [epoch["epoch"] for epoch in result.epochs] == [1, 2]
    assert result.test["images"] == 360
    assert 0 < MEASURES["test_error"].of(result) < 100
    assert MEASURES["mean_loss"].of(result) > MEASURES["train_loss"].of(result) > 0
    assert result.seconds > 0
    metrics = [json.loads(line) for line in (done / "metrics.jsonl").read_text().splitlines()]
    assert [record for record in metrics if "epoch" in record] == list(result.epochs)


def test_a_run_leaves_its_configuration_and_its_curves_and_not_its_checkpoints(done):
    assert not (done / "checkpoints").exists()
    assert {"config.json", "metrics.jsonl", "model.keras", "report.html"} <= {path.name for path in done.iterdir()}
    assert TrainConfig.from_dict(json.loads((done / "config.json").read_text())) == config()


@pytest.mark.parametrize("model", [True, False], ids=["done", "diverged"])
def test_a_run_whose_result_was_removed_starts_again(model, done, tmp_path, monkeypatch):
    """Its checkpoints are gone, without which `train` refuses to touch what it finds."""
    folder, found = tmp_path / "a", []
    shutil.copytree(done, folder)
    if not model:
        (folder / "model.keras").unlink()
    monkeypatch.setattr(train, "train", lambda config, workdir: found.append(workdir.exists()))
    with pytest.raises(UserError, match="has epochs"):  # of a training that does nothing
        RunSession().run("a", config().to_dict(), str(folder), trains=True)
    assert found == [False]


def test_a_run_that_was_stopped_is_not_started_again(done, tmp_path, monkeypatch):
    folder, found = tmp_path / "a", []
    shutil.copytree(done, folder)
    (folder / "checkpoints").mkdir()
    monkeypatch.setattr(train, "train", lambda config, workdir: found.append((workdir / "metrics.jsonl").exists()))
    RunSession().run("a", config().to_dict(), str(folder), trains=True)
    assert found == [True]


def test_a_loss_that_is_nan_is_a_result_that_says_so(tmp_path):
    diverging = config(learning_rate=1e6, warmup=0.0)
    RunSession().run("a", diverging.to_dict(), str(tmp_path / "a"), trains=True)
    result = RunResult.read(tmp_path / "a.json", diverging.to_dict())
    assert result.status == DIVERGED
    assert "loss is" in result.message
    assert result.test is None
    assert MEASURES["test_error"].of(result) == float("inf")


def test_a_mistake_leaves_no_result(tmp_path):
    wrong = dataclasses.replace(config(), dataset="digts")
    with pytest.raises(UserError, match="unknown dataset 'digts'"):
        RunSession().run("a", wrong.to_dict(), str(tmp_path / "a"), trains=True)
    assert list(tmp_path.iterdir()) == []


def test_gradients_are_followed_from_the_start_to_the_end(tmp_path):
    followed = config(epochs=1)
    RunSession().run("a", followed.to_dict(), str(tmp_path / "a"), trains=False)
    result = RunResult.read(tmp_path / "a.json", followed.to_dict())
    assert [moment["epoch"] for moment in result.flow] == [0, 1]
    assert result.flow[0]["train_loss"] is None
    assert result.flow[1]["train_loss"] > 0
    for moment in result.flow:
        assert len(moment["gradients"]["output_gradient_rms"]) == len(moment["contributions"]["ratios"]) == 9
    assert 0 < MEASURES["gradient_span"].of(result) < 10
    assert MEASURES["sum_deviation"].of(result) < 1e-5
    assert {path.name for path in tmp_path.iterdir()} == {"a.json"}
