"""Catches a run that does not continue where it stopped, that chooses by the test split, or that overwrites another."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from keras_resnet import UserError
from keras_resnet.classifier import Classifier
from keras_resnet.training import recipes
from keras_resnet.training import train as training
from keras_resnet.training.config import TrainConfig, open_workdir
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


def test_a_second_process_in_the_same_work_directory_is_refused(undisturbed, data_dir):
    """Catches two runs that overwrite each other's checkpoints; a lock of this process stands for the other one."""
    with open_workdir(undisturbed, config()), pytest.raises(UserError, match="another process is training"):
        training.train(config(), undisturbed, data_dir)


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_saved(tmp_path, data_dir):
    settings = recipes.find("digits", epochs=2, learning_rate=1e30)
    with pytest.raises(UserError, match=r"the loss is nan in epoch 1, at a learning rate of .*e\+29; there is no checkpoint"):
        training.train(config(settings=settings), tmp_path / "run", data_dir)
    assert not (tmp_path / "run" / "model.keras").exists()
    assert not list((tmp_path / "run" / "checkpoints").glob("ckpt-*"))


@pytest.mark.parametrize("damage", ["[]", "null", "{", "{}"])
def test_a_damaged_configuration_is_refused(damage, tmp_path, data_dir):
    (tmp_path / "config.json").write_text(damage)
    with pytest.raises(UserError, match=r"damaged|another run"):
        training.train(config(), tmp_path, data_dir)
    assert (tmp_path / "config.json").read_text() == damage


@pytest.mark.parametrize("damage", [b"5\n", b"\xff\xfe\n", b'{"epoch": "x"}\n', b'{"epoch": 1}\n'])
def test_damaged_metrics_do_not_stop_a_finished_run(damage, undisturbed, tmp_path, data_dir):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    (workdir / "metrics.jsonl").write_bytes(damage)
    training.train(config(), workdir, data_dir)
    assert "test" in read_metrics(workdir)[-1]


@pytest.mark.parametrize("file", ["checkpoint", "best/checkpoint"])
def test_a_damaged_index_of_checkpoints_does_not_start_the_run_anew(file, undisturbed, tmp_path, data_dir):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    (workdir / "checkpoints" / file).write_text("garbage{")
    before = (workdir / "model.keras").read_bytes()
    with pytest.raises(UserError, match="damaged"):
        training.train(config(), workdir, data_dir)
    assert (workdir / "model.keras").read_bytes() == before


def test_a_damaged_checkpoint_is_named(tmp_path, data_dir, monkeypatch):
    with monkeypatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(PowerCutError):
            training.train(config(), tmp_path / "run", data_dir)
    for path in (tmp_path / "run" / "checkpoints").glob("ckpt-*.data*"):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint .*ckpt-1 is damaged"):
        training.train(config(), tmp_path / "run", data_dir)
