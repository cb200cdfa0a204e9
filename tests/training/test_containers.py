"""Catches a container whose images come in another order, with other labels or other pixels than those of a folder."""

import io
import os
import signal
import tarfile
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.framework.config import disable_op_determinism

from keras_resnet import UserError
from keras_resnet.errors import TrainingInterrupted
from keras_resnet.models.options import ModelOptions
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.data import image_filter
from keras_resnet.training.data.containers.archive import list_tar
from keras_resnet.training.data.containers.table import CONTAINERS
from keras_resnet.training.data.dataset import Dataset
from keras_resnet.training.train import train

CLASSES = ("ant", "bee")
COUNTS = {"train": 12, "test": 4}  # of each class
BATCH_SIZE = 4


def encoded(number, side, form):
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).resize((side, 20), Image.Resampling.BICUBIC).save(file, form, quality=95)
    return file.getvalue()


def images():
    """(split, class, name, content) of every image, in the order of a folder."""
    for split, count in COUNTS.items():
        for label, name in enumerate(CLASSES):
            for number in range(count):
                form, suffix = ("PNG", "png") if number % 4 == 3 else ("JPEG", "jpg")
                yield split, name, f"{number:02}.{suffix}", encoded(100 * label + number, 16 + number, form)


def folder(path):
    for split, name, file, content in images():
        target = path / split / name / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return path


def csv(path):
    folder(path)
    rows = [f"{split}/{name}/{file},{name},{split}" for split, name, file, _ in images()]
    (path / "all.csv").write_text("\n".join(["path,label,split", *reversed(rows)]))
    return path / "all.csv"


def parquet(path):
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.mkdir()
    for split in COUNTS:
        rows = [
            {"image": {"bytes": content, "path": f"{name}/{file}"}, "label": name}
            for own, name, file, content in images()
            if own == split
        ]
        writer.write_table(pyarrow.Table.from_pylist(rows), path / f"{split}-00000-of-00001.parquet", row_group_size=5)
    return path


def tar(path):
    with tarfile.open(path, "w") as archive:
        for split, name, file, content in images():
            add(archive, f"./data/{split}/{name}/{file}", content)
    return path


def zipped(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (split, name, file, content) in enumerate(images()):
            method = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            archive.writestr(f"{split}/{name}/{file}", content, method)
    return path


def webdataset(path):
    path.mkdir()
    for split in COUNTS:
        rows = [row for row in images() if row[0] == split]
        for shard in range(3):
            with tarfile.open(path / f"{split}-{shard:06}.tar", "w") as archive:
                for _, name, file, content in rows[shard::3]:
                    key, _, suffix = file.partition(".")
                    add(archive, f"{name}/{key}.{suffix}", content)
                    add(archive, f"{name}/{key}.cls", str(CLASSES.index(name)).encode())
    (path / "classes.txt").write_text("\n".join(CLASSES))
    return path


def tfrecord(path):
    path.mkdir()
    for split in COUNTS:
        rows = [row for row in images() if row[0] == split]
        for shard in range(2):
            with tf.io.TFRecordWriter(str(path / f"{split}-{shard:05}-of-00002")) as writer:
                for _, name, file, content in rows[shard::2]:
                    writer.write(example(content, 1 + CLASSES.index(name), name, f"{name}/{file}"))
    return path


def add(archive, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def example(content, label, synset, name):
    features = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[content])),
        "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "image/class/synset": tf.train.Feature(bytes_list=tf.train.BytesList(value=[synset.encode()])),
        "image/filename": tf.train.Feature(bytes_list=tf.train.BytesList(value=[name.encode()])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


MAKERS = {
    "folder": folder, "csv": csv, "parquet": parquet, "tar": tar, "zip": zipped, "webdataset": webdataset,
    "tfrecord": tfrecord,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _determinism_ends_here():
    """Whatever runs after it in this process may be compiled, which determinism does not allow."""
    yield
    disable_op_determinism()


@pytest.fixture(params=[True, False], ids=["large", "small"])
def _large(request, monkeypatch):
    """Whether the images are looked at while they are trained on, or before."""
    if request.param:
        monkeypatch.setattr(image_filter, "CHECKED_BYTES", 0)


def config(dataset, data_dir, **overrides):
    recipe = recipes.get_recipe("short", epochs=2, batch_size=BATCH_SIZE, min_crop_area=0.3)
    given = {"model": "ResNet20V2", "recipe": recipe, "recipe_name": "short", "options": ModelOptions(width_multiplier=0.25)}
    fixed = {"image_size": 16, "deterministic": True, "steps_per_execution": 1}
    return TrainConfig(**{**given, **fixed, "dataset": dataset, "data_dir": os.fspath(data_dir), **overrides})


def final_weights(run):
    return keras.saving.load_model(run / "model.keras").get_weights()


def assert_same(weights, others):
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_container_is_tried_here():
    assert set(MAKERS) == set(CONTAINERS)


@pytest.mark.usefixtures("_large")
def test_the_same_images_are_the_same_from_every_container(tmp_path):
    expected = None
    for name, make in MAKERS.items():
        dataset = Dataset(name, make(tmp_path / name))
        training, validation = dataset.train_and_validation(0.25, seed=1)
        found = [
            (split.labels.tolist(), [split.records.read(row) for row in range(len(split))])
            for split in (training, validation, dataset.test)
        ]
        expected = expected or found
        assert dataset.class_names == CLASSES, name
        assert found == expected, name


def test_they_are_the_same_from_a_bucket(tmp_path):
    expected = Dataset("folder", folder(tmp_path / "data"))
    made = {name: MAKERS[name](tmp_path / name) for name in ("tar", "zip", "webdataset", "tfrecord", "csv", "parquet")}
    for name, path in {"folder": tmp_path / "data", **made}.items():
        url = f"ram://images/{name}"
        for inner, _, files in os.walk(path if path.is_dir() else path.parent):
            for file in files:
                target = f"{url}/{os.path.relpath(os.path.join(inner, file), path if path.is_dir() else path.parent)}"
                tf.io.gfile.makedirs(os.path.dirname(target))
                tf.io.gfile.copy(os.path.join(inner, file), target, overwrite=True)
        found = Dataset(name, url if path.is_dir() else f"{url}/{path.name}")
        assert found.class_names == expected.class_names, name
        pairs = ((*dataset.train_and_validation(0.25, 1), dataset.test) for dataset in (found, expected))
        for split, other in zip(*pairs, strict=True):
            np.testing.assert_array_equal(split.labels, other.labels, name)
            assert split.records.read(0) == other.records.read(0), name


class StopAfter(keras.callbacks.Callback):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == self.steps:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_has_the_same_weights_from_every_container_and_after_a_stop_within_a_shard(tmp_path, monkeypatch):
    """Catches a position in a shard or a row group that a continued run has lost."""
    monkeypatch.setattr(image_filter, "CHECKED_BYTES", 0)
    train(config("folder", folder(tmp_path / "folder")), tmp_path / "runs" / "folder")
    expected = final_weights(tmp_path / "runs" / "folder")
    for name, make in MAKERS.items():
        if name in ("webdataset", "parquet", "zip"):
            path, run = make(tmp_path / f"{name}.data"), tmp_path / "runs" / name
            with pytest.raises(TrainingInterrupted):
                train(config(name, path), run, [StopAfter(3)])
            train(config(name, path), run)
            assert_same(final_weights(run), expected)


class Change(keras.callbacks.Callback):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 2:
            self.change()


@pytest.mark.parametrize("name", ["tar", "zip"])
@pytest.mark.parametrize("grow", [True, False])
def test_an_archive_that_changes_during_the_training_ends_it_in_one_line(tmp_path, monkeypatch, name, grow):
    """Catches images that are replaced, or other bytes that are taken for them, because an archive was written again."""
    monkeypatch.setattr(image_filter, "CHECKED_BYTES", 0)
    path = MAKERS[name](tmp_path / f"data.{name}")
    content = path.read_bytes()

    def change():
        path.write_bytes(content + bytes(1024) if grow else content[:3000])

    with pytest.raises(UserError, match=rf"data\.{name} has changed since its images were listed; once it is as it was"):
        train(config(name, path), tmp_path / "run", [Change(change)])


def test_a_tar_that_is_cut_between_two_members_is_said_to_be_damaged(tmp_path):
    path = tar(tmp_path / "data.tar")
    with tarfile.open(path) as archive:
        start = archive.getmember("./data/test/bee/02.jpg").offset
    path.write_bytes(path.read_bytes()[:start])
    listing = list_tar(path)
    assert any("data.tar is damaged: it ends at byte" in note for note in listing.notes)
    assert len(listing.splits["test"]) == COUNTS["test"] + 2


def spoil(path, names):
    for name in names:
        (path / name).write_bytes(b"\xff\xd8\xff not an image")


def test_an_image_that_turns_out_bad_is_named_counted_and_replaced_alike_after_a_stop(tmp_path, monkeypatch, capfd):
    """Catches a batch that is short of an image, or another one in its place once the run is continued."""
    monkeypatch.setattr(image_filter, "CHECKED_BYTES", 0)
    monkeypatch.setattr(image_filter, "SAMPLE", 1)
    path = folder(tmp_path / "data")
    spoil(path, ("train/ant/05.jpg", "train/bee/11.png", "test/bee/01.jpg"))
    test = train(config("folder", path), tmp_path / "whole")
    said = capfd.readouterr().err
    for name in ("train/ant/05.jpg", "train/bee/11.png", "test/bee/01.jpg"):
        assert said.count(f"{path}/{name} cannot be read: it begins like an image, but is damaged") == 1, name
    assert test["images"] == 2 * COUNTS["test"] - 1
    assert "3 images could not be read" in (tmp_path / "whole" / "report.html").read_text()
    with pytest.raises(TrainingInterrupted):
        train(config("folder", path), tmp_path / "stopped", [StopAfter(3)])
    train(config("folder", path), tmp_path / "stopped")
    assert_same(final_weights(tmp_path / "stopped"), final_weights(tmp_path / "whole"))
    assert "3 images could not be read" in (tmp_path / "stopped" / "report.html").read_text()
    with pytest.raises(UserError, match=r"05\.jpg .*--on_bad_image=skip"):
        train(config("folder", path, on_bad_image="fail"), tmp_path / "failed")
