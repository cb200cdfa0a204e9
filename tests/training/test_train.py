"""Catches a run that does not continue where it stopped, that chooses by the test split, or that overwrites another."""

import dataclasses
import json
import os
import shutil
import signal
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import weights_of
from PIL import Image

from keras_resnet import UserError
from keras_resnet.errors import TrainingInterrupted
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.training import recipes
from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.data.decoding import kept_images, lazy_images
from keras_resnet.training.loop import TrainLoop
from keras_resnet.training.train import Trainer, train
from keras_resnet.training.workdir import open_workdir


def config(data_dir, **overrides):
    recipe = recipes.get_recipe("digits", epochs=3, batch_size=128, crop_padding=1)
    given = {"model": "ResNet20V2", "dataset": "digits", "recipe_name": "digits", "recipe": recipe, "data_dir": str(data_dir)}
    return TrainConfig(**{**given, **overrides})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data_dir):
    workdir = tmp_path_factory.mktemp("train") / "undisturbed"
    train(config(data_dir), workdir)
    return workdir


class PowerCutError(Exception):
    pass


def cut_after(monkeypatch, epochs):
    """The power goes as the next epoch begins."""
    original = Trainer.train_epoch

    def train_epoch(self):
        if self.state.epoch == epochs:
            raise PowerCutError
        return original(self)

    monkeypatch.setattr(Trainer, "train_epoch", train_epoch)


def timing(record):
    return {"seconds": record["test"]["seconds"]} if "test" in record else {}


def assert_saved(workdir, weights):
    model = keras.saving.load_model(workdir / "model.keras")
    assert len(model.weights) == len(weights)
    for (name, index), value in weights.items():
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[index], value)


def assert_same_weights(workdir, other):
    assert_same_weights_in(workdir / "model.keras", other / "model.keras")


def assert_same_weights_in(path, other):
    models = [keras.saving.load_model(file) for file in (path, other)]
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_continued_run_ends_as_one_that_never_stopped(undisturbed, tmp_path, data_dir, monkeypatch):
    workdir = tmp_path / "cut"
    with monkeypatch.context() as patch:
        cut_after(patch, 2)
        with pytest.raises(PowerCutError):
            train(config(data_dir), workdir)
    assert len(read_metrics(workdir)) == 2
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "loss": 99}\n{"epo')  # logged, but after the newest checkpoint
    train(config(data_dir), workdir)

    timeless = [{k: v for k, v in record.items() if k != "images_per_second"} for record in read_metrics(workdir)]
    expected = [{k: v for k, v in record.items() if k != "images_per_second"} for record in read_metrics(undisturbed)]
    assert [record.get("epoch") for record in timeless] == [1, 2, 3, None]
    for one, other in zip(timeless, expected, strict=True):
        assert one.get("test", one) == pytest.approx(other.get("test", other) | timing(one), rel=1e-4)
    assert_same_weights(workdir, undisturbed)


def test_a_finished_run_is_left_as_it_is(undisturbed, data_dir):
    records, weights = read_metrics(undisturbed), keras.saving.load_model(undisturbed / "model.keras").get_weights()
    train(config(data_dir), undisturbed)
    assert read_metrics(undisturbed) == records
    for one, other in zip(weights, keras.saving.load_model(undisturbed / "model.keras").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_work_directory_holds_what_the_design_promises(undisturbed):
    names = {path.name for path in undisturbed.iterdir()}
    assert names == {"config.json", "checkpoints", "metrics.jsonl", "events", "curves.png", "model.keras", "report.html"}
    assert list((undisturbed / "events").rglob("events.out.tfevents.*"))
    assert json.loads((undisturbed / "config.json").read_text())["recipe"]["epochs"] == 3
    assert (undisturbed / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_file_carries_labels_and_preprocessing(undisturbed):
    record = ClassifierMetadata.read_from(undisturbed / "model.keras")
    assert record.labels == tuple("0123456789")
    assert (record.preprocessing.height, record.preprocessing.width, record.preprocessing.channels) == (8, 8, 1)
    assert zipfile.ZipFile(undisturbed / "model.keras").testzip() is None


def test_the_kept_weights_are_the_best_on_validation_not_the_last(tmp_path, data_dir, monkeypatch):
    """The second of three epochs is made to look best; its weights must be in the file."""
    weights, looks = [], iter([(0.2, 1.0), (0.9, 1.0), (0.9, 2.0)])

    def evaluate(self, examples):
        weights.append(weights_of(self.step.network))
        return dict(zip(("accuracy", "loss"), next(looks), strict=True))

    monkeypatch.setattr(TrainLoop, "evaluate", evaluate)
    train(config(data_dir), tmp_path / "run")
    assert_saved(tmp_path / "run", weights[1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": "ResNet32V2"}, "model 'ResNet20V2', not 'ResNet32V2'"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"recipe": recipes.get_recipe("digits", epochs=4, batch_size=128, crop_padding=1)}, r"recipe\.epochs 3, not 4"),
    ],
)
def test_another_runs_work_directory_is_refused_and_untouched(other, message, undisturbed, data_dir):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    with pytest.raises(UserError, match=message):
        train(config(data_dir, **other), undisturbed)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


def test_a_folder_with_other_files_is_refused_and_untouched(tmp_path, data_dir):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="is not empty and holds no run of this package"):
        train(config(data_dir), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(tmp_path, data_dir):
    with pytest.raises(UserError, match="batch_size is 5000, but there are only 1293 images"):
        train(config(data_dir, recipe=recipes.get_recipe("digits", batch_size=5000)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_second_process_in_the_same_work_directory_is_refused(undisturbed, data_dir):
    """Catches two runs that overwrite each other's checkpoints; a lock of this process stands for the other one."""
    with open_workdir(undisturbed, config(data_dir)), pytest.raises(UserError, match="another process is training"):
        train(config(data_dir), undisturbed)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(tmp_path, data_dir):
    recipe = recipes.get_recipe("digits", epochs=2, learning_rate=1e30)
    message = r"the loss is nan at step \d+, in epoch 1, at a learning rate of .*e\+29; there is no checkpoint"
    with pytest.raises(UserError, match=message):
        train(config(data_dir, recipe=recipe), tmp_path / "run")
    assert not (tmp_path / "run" / "model.keras").exists()
    assert not list((tmp_path / "run" / "checkpoints").glob("ckpt-*"))


def test_weights_that_the_last_step_of_an_epoch_ruined_are_not_saved(tmp_path, data_dir):
    """Catches a ruined checkpoint that is called the last good one: the loss of the step that ruins them is still a number."""
    recipe = recipes.get_recipe("digits", epochs=2, batch_size=1293, warmup=0.0, learning_rate=1e30)
    with pytest.raises(UserError, match=r"the validation loss is nan at step 1, in epoch 1, at a .*; there is no checkpoint"):
        train(config(data_dir, recipe=recipe), tmp_path / "run")
    assert not list((tmp_path / "run").glob("checkpoints/**/ckpt-*"))


def test_a_checkpoint_of_the_weights_that_gave_no_number_is_not_called_good(tmp_path, data_dir):
    class Ruin(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 14:
                self.model.trainable_variables[-1].assign([np.nan] * 10)

    once = config(data_dir, steps_per_execution=1, checkpoint_minutes=1e-9)
    with pytest.raises(UserError, match=r"the loss is nan at step 15, .*; the last good checkpoint is that of step 13"):
        train(once, tmp_path / "run", [Ruin()])
    assert newest_data(tmp_path / "run")[-1].name.startswith("ckpt-14.")


def test_a_run_is_not_continued_on_other_data(tmp_path):
    """Catches places in the data that are another image's now, and a step after the end of an epoch."""
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        for index in range(12):
            Image.new("L", (8, 8), 20 * index).save(tmp_path / "images" / label / f"{index}.png")
    recipe = recipes.get_recipe("digits", epochs=1, batch_size=4)
    images = config(tmp_path / "images", dataset="folder", recipe=recipe)
    train(images, tmp_path / "run")
    moved = (tmp_path / "images").rename(tmp_path / "moved")
    train(dataclasses.replace(images, data_dir=str(moved)), tmp_path / "run")
    (moved / "a" / "0.png").rename(moved / "b" / "new.png")
    with pytest.raises(UserError, match="holds a run on other data"):
        train(dataclasses.replace(images, data_dir=str(moved)), tmp_path / "run")


@pytest.mark.parametrize("damage", ["[]", "null", "{", "{}"])
def test_a_damaged_configuration_is_refused(damage, tmp_path, data_dir):
    (tmp_path / "config.json").write_text(damage)
    with pytest.raises(UserError, match=r"cannot be read|another run"):
        train(config(data_dir), tmp_path)
    assert (tmp_path / "config.json").read_text() == damage


def test_the_work_directory_of_an_earlier_version_is_refused_in_one_line(tmp_path, data_dir):
    (tmp_path / "config.json").write_text(
        json.dumps({"model": "ResNet20V2", "recipe": "digits", "settings": {"batch_size": 8}})
    )
    with pytest.raises(
        UserError, match=r"^\S+config\.json was written by an earlier version of keras-resnet.*another --workdir$"
    ):
        train(config(data_dir), tmp_path)


@pytest.mark.parametrize("damage", [b"5\n", b"\xff\xfe\n", b'{"epoch": "x"}\n', b'{"epoch": 1}\n'])
def test_damaged_metrics_do_not_stop_a_finished_run(damage, undisturbed, tmp_path, data_dir):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    (workdir / "metrics.jsonl").write_bytes(damage)
    train(config(data_dir), workdir)
    assert "test" in read_metrics(workdir)[-1]


def damage(path):
    """Cuts off the second half, as a disk does that was full."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newest_data(workdir):
    return sorted((workdir / "checkpoints").glob("ckpt-*.data*"))


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_taken(undisturbed, tmp_path, data_dir, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        cut_after(patch, 2)
        with pytest.raises(PowerCutError):
            train(config(data_dir), tmp_path / "run")
    damage(newest_data(tmp_path / "run")[-1])
    train(config(data_dir), tmp_path / "run")
    printed = capsys.readouterr()
    assert "ckpt-20 is damaged" in printed.err
    assert "continuing from the one before it" in printed.err
    assert "continuing after epoch 1/3" in printed.out
    assert [record.get("epoch") for record in read_metrics(tmp_path / "run")] == [1, 2, 3, None]
    assert_same_weights(tmp_path / "run", undisturbed)


def test_where_all_checkpoints_are_damaged_nothing_begins_anew(undisturbed, tmp_path, data_dir):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    for path in newest_data(workdir):
        damage(path)
    before = (workdir / "model.keras").read_bytes()
    with pytest.raises(UserError, match=r"ckpt-30 is damaged.*ckpt-20 is damaged.*ckpt-10 is damaged"):
        train(config(data_dir), workdir)
    assert (workdir / "model.keras").read_bytes() == before


def test_a_damaged_best_checkpoint_is_named(undisturbed, tmp_path, data_dir):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    damage(next((workdir / "checkpoints" / "best").glob("ckpt-*.data*")))
    with pytest.raises(UserError, match=r"best/ckpt-\d+ is damaged"):
        train(config(data_dir), workdir)


def test_a_full_disk_leaves_the_earlier_checkpoints_whole(undisturbed, tmp_path, data_dir, monkeypatch):
    def no_space(self, path, *arguments, **options):
        (Path(path).parent / f"{Path(path).name}.data-00000-of-00001").write_bytes(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, f"{path}; No space left on device")

    with monkeypatch.context() as patch:
        cut_after(patch, 2)
        with pytest.raises(PowerCutError):
            train(config(data_dir), tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", no_space)
        with pytest.raises(OSError, match="No space left on device"):
            train(config(data_dir), tmp_path / "run")
    assert {path.name for path in (tmp_path / "run" / "checkpoints").glob("ckpt-*")} == {
        f"ckpt-{number}.{suffix}" for number in (10, 20) for suffix in ("index", "data-00000-of-00001")
    }
    train(config(data_dir), tmp_path / "run")
    assert_same_weights(tmp_path / "run", undisturbed)


def test_only_so_many_checkpoints_stay(tmp_path, data_dir):
    train(config(data_dir, keep_checkpoints=1), tmp_path / "run")
    assert [path.name for path in newest_data(tmp_path / "run")] == ["ckpt-30.data-00000-of-00001"]


def test_a_signal_in_the_middle_of_an_epoch_saves_and_the_run_continues_there(undisturbed, tmp_path, data_dir):
    class SendSignal(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 14:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="stopped by SIGTERM after epoch 1 and 5 steps") as stopped:
        train(config(data_dir, steps_per_execution=1), tmp_path / "run", [SendSignal()])
    assert stopped.value.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert newest_data(tmp_path / "run")[-1].name.startswith("ckpt-15.")
    train(config(data_dir), tmp_path / "run")
    assert_same_weights(tmp_path / "run", undisturbed)
    ours, theirs = read_metrics(tmp_path / "run"), read_metrics(undisturbed)
    assert [record["loss"] for record in ours[:3]] == pytest.approx([record["loss"] for record in theirs[:3]], rel=1e-4)


def test_a_checkpoint_comes_after_so_many_minutes(tmp_path, data_dir):
    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.update(path.name for path in (tmp_path / "run" / "checkpoints").glob("ckpt-*.index"))

    seen = set()
    train(config(data_dir, steps_per_execution=2, checkpoint_minutes=1e-9), tmp_path / "run", [Look()])
    assert {"ckpt-4.index", "ckpt-12.index"} <= seen


def test_averaged_weights_are_evaluated_and_kept(tmp_path, data_dir, monkeypatch):
    """And they survive a stop between the epochs."""
    recipe, looks = recipes.get_recipe("digits", epochs=2, batch_size=128, ema_momentum=0.9), []
    original = TrainLoop.evaluate

    def evaluate(self, examples):
        looks.append((weights_of(self.step.network), [a.numpy() for a in self.step.update.ema.averages]))
        return original(self, examples) | {"accuracy": float(len(looks))}

    monkeypatch.setattr(TrainLoop, "evaluate", evaluate)
    with monkeypatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(PowerCutError):
            train(config(data_dir, recipe=recipe), tmp_path / "cut")
    train(config(data_dir, recipe=recipe), tmp_path / "cut")
    train(config(data_dir, recipe=recipe), tmp_path / "whole")
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")
    ema_weights, raw = looks[-1]
    assert_saved(tmp_path / "whole", ema_weights)
    assert not np.allclose(ema_weights["stem_conv", 0], raw[0], rtol=1e-3)


def test_images_that_do_not_fit_into_memory_are_trained_on_and_measured_all_the_same(tmp_path, data_dir, monkeypatch):
    small = config(data_dir, image_size=12, recipe=recipes.get_recipe("digits", epochs=1, batch_size=128, crop_padding=1))
    whole = train(small, tmp_path / "whole")
    monkeypatch.setattr(lazy_images, "available_memory", lambda: 1000)
    files = train(small, tmp_path / "files")
    assert files == pytest.approx(whole | {"seconds": files["seconds"]}, rel=1e-4)
    assert_same_weights(tmp_path / "files", tmp_path / "whole")


def test_callbacks_are_called_per_epoch_and_per_execution(tmp_path, data_dir):
    class Listen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            called.append((batch, sorted(logs)))

        def on_epoch_end(self, epoch, logs=None):
            called.append((f"epoch {epoch}", sorted(logs)))

    called = []
    recipe = recipes.get_recipe("digits", epochs=1, batch_size=128)
    train(config(data_dir, recipe=recipe, steps_per_execution=4), tmp_path / "run", [Listen()])
    names = ["accuracy", "gradient_norm", "images_per_second", "learning_rate", "loss"]
    assert called == [(3, names), (7, names), (9, names), ("epoch 0", sorted([*names, "val_accuracy", "val_loss"]))]


def test_an_image_that_disappears_during_the_training_is_named(tmp_path, monkeypatch):
    """Catches a traceback where a disk is unplugged at night."""
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        for index in range(12):
            Image.new("L", (8 + index, 8), 20 * index).save(tmp_path / "images" / label / f"{index}.png")

    class Unplug(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if not epoch:
                (tmp_path / "images").rename(tmp_path / "elsewhere")

    recipe = recipes.get_recipe("digits", epochs=4, batch_size=4, min_crop_area=0.5)  # of the second, images were read before
    images = config(tmp_path / "images", dataset="folder", recipe=recipe, image_size=8)
    monkeypatch.setattr(kept_images, "available_memory", lambda: 1000)  # which is too little to keep the images in
    with pytest.raises(UserError, match=r"has disappeared: \[Errno 2\] .*png'; once it is back, the same command"):
        train(images, tmp_path / "run", [Unplug()])


def test_a_callback_that_stops_training_ends_it_with_its_epoch(tmp_path, data_dir):
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=1000, patience=1)
    train(config(data_dir), tmp_path / "run", [stop])
    assert [record.get("epoch") for record in read_metrics(tmp_path / "run")] == [1, 2, None]
    assert (tmp_path / "run" / "model.keras").is_file()


def test_callbacks_find_the_optimizer_and_save_the_network(tmp_path, data_dir):
    """Catches TensorBoard, which asks for the optimizer, and a saved network that the optimizer keeps from loading."""
    saved = tmp_path / "epoch.keras"
    callbacks = [keras.callbacks.TensorBoard(tmp_path / "events"), keras.callbacks.ModelCheckpoint(saved)]
    recipe = recipes.get_recipe("digits", epochs=1, batch_size=128)
    train(config(data_dir, recipe=recipe), tmp_path / "run", callbacks)
    assert list((tmp_path / "events").rglob("events.*"))
    assert_same_weights_in(saved, tmp_path / "run" / "model.keras")
