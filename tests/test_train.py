"""Catches a run that does not continue where it stopped, that chooses by the test split, or that overwrites another."""

import json
import zipfile

import keras
import numpy as np
import pytest

from keras_resnet import UserError
from keras_resnet.classifier import Classifier
from keras_resnet.training import recipes
from keras_resnet.training import train as training
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.logs import read_metrics


def config(**overrides):
    settings = recipes.find("digits", epochs=3, batch_size=128, pad=1)
    return TrainConfig(**{"model": "ResNet20V2", "dataset": "digits", "recipe": "digits", "settings": settings, **overrides})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data_dir):
    workdir = tmp_path_factory.mktemp("train") / "undisturbed"
    training.train(config(), workdir, data_dir)
    return workdir


class PowerCutError(Exception):
    pass


def cut_after(monkeypatch, epochs):
    """The power goes as the next epoch begins."""
    original = training.Run.train_epoch

    def train_epoch(self, epoch):
        if epoch == epochs:
            raise PowerCutError
        return original(self, epoch)

    monkeypatch.setattr(training.Run, "train_epoch", train_epoch)


def test_a_continued_run_ends_as_one_that_never_stopped(undisturbed, tmp_path, data_dir, monkeypatch):
    workdir = tmp_path / "cut"
    with monkeypatch.context() as patch:
        cut_after(patch, 2)
        with pytest.raises(PowerCutError):
            training.train(config(), workdir, data_dir)
    assert len(read_metrics(workdir)) == 2
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "loss": 99}\n{"epo')  # logged, but behind the newest checkpoint
    training.train(config(), workdir, data_dir)

    timeless = [{k: v for k, v in record.items() if k != "images_per_second"} for record in read_metrics(workdir)]
    expected = [{k: v for k, v in record.items() if k != "images_per_second"} for record in read_metrics(undisturbed)]
    assert [record.get("epoch") for record in timeless] == [1, 2, 3, None]
    for one, other in zip(timeless, expected, strict=True):
        assert one.get("test", one) == pytest.approx(other.get("test", other), rel=1e-4)
    models = [keras.saving.load_model(folder / "model.keras") for folder in (workdir, undisturbed)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_finished_run_is_left_as_it_is(undisturbed, data_dir):
    records, weights = read_metrics(undisturbed), keras.saving.load_model(undisturbed / "model.keras").get_weights()
    training.train(config(), undisturbed, data_dir)
    assert read_metrics(undisturbed) == records
    for one, other in zip(weights, keras.saving.load_model(undisturbed / "model.keras").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_work_directory_holds_what_the_design_promises(undisturbed):
    names = {path.name for path in undisturbed.iterdir()}
    assert names == {"config.json", "checkpoints", "metrics.jsonl", "events", "curves.png", "model.keras"}
    assert list((undisturbed / "events").glob("events.out.tfevents.*"))
    assert json.loads((undisturbed / "config.json").read_text())["settings"]["epochs"] == 3
    assert (undisturbed / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_file_carries_labels_and_preprocessing(undisturbed):
    record = Classifier.read_from(undisturbed / "model.keras")
    assert record.labels == tuple("0123456789")
    assert (record.preprocessing.height, record.preprocessing.width, record.preprocessing.channels) == (8, 8, 1)
    assert zipfile.ZipFile(undisturbed / "model.keras").testzip() is None


def test_the_kept_weights_are_the_best_on_validation_not_the_last(tmp_path, data_dir, monkeypatch):
    """The second of three epochs is made to look best; its weights must be in the file."""
    weights, looks = [], iter([(0.2, 1.0), (0.9, 1.0), (0.9, 2.0)])
    original = training.Checkpoints.save

    def save(self, epoch, accuracy, loss):
        weights.append([np.array(weight) for weight in self._newest.checkpoint.model.get_weights()])
        original(self, epoch, *next(looks))

    monkeypatch.setattr(training.Checkpoints, "save", save)
    training.train(config(), tmp_path / "run", data_dir)
    kept = keras.saving.load_model(tmp_path / "run" / "model.keras").get_weights()
    for one, other in zip(kept, weights[1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": "ResNet32V2"}, "model 'ResNet20V2', not 'ResNet32V2'"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"settings": recipes.find("digits", epochs=4, batch_size=128, pad=1)}, "settings"),
    ],
)
def test_another_runs_work_directory_is_refused_and_untouched(other, message, undisturbed, data_dir):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    with pytest.raises(UserError, match=message):
        training.train(config(**other), undisturbed, data_dir)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


def test_a_folder_with_other_files_is_refused_and_untouched(tmp_path, data_dir):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="is not empty and holds no run of ours"):
        training.train(config(), tmp_path, data_dir)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(tmp_path, data_dir):
    with pytest.raises(UserError, match="batch_size is 5000, but there are only 1293 images"):
        training.train(config(settings=recipes.find("digits", batch_size=5000)), tmp_path / "run", data_dir)
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_named(tmp_path, data_dir, monkeypatch):
    with monkeypatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(PowerCutError):
            training.train(config(), tmp_path / "run", data_dir)
    for path in (tmp_path / "run" / "checkpoints").glob("ckpt-*.data*"):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint .*ckpt-1 is damaged"):
        training.train(config(), tmp_path / "run", data_dir)
