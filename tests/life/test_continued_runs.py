"""Catches a run that starts anew over what it had, or that is refused or continued without a word of why."""

import errno
import importlib.util
import json
import random
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from life.runs import Cut, CutError, files_of, one_layer_networks, run_config, write_images

from keras_resnet import UserError
from keras_resnet.training import workdir as workdir_module
from keras_resnet.training.callbacks.loggers import ProgressBar, TensorBoardLogger, read_metrics
from keras_resnet.training.checkpoints import CheckpointManager, TrainState
from keras_resnet.training.train import train


@pytest.fixture(scope="module", autouse=True)
def images(tmp_path_factory):
    with one_layer_networks(conclusion=False):
        yield write_images(tmp_path_factory.mktemp("continued") / "images")


@pytest.fixture(scope="module")
def cut(tmp_path_factory, images):
    """A run of three epochs that was cut off after the second."""
    workdir = tmp_path_factory.mktemp("continued") / "cut"
    with pytest.raises(CutError):
        train(run_config(images), workdir, [Cut(2)])
    return workdir


@pytest.fixture
def run(cut, tmp_path):
    return shutil.copytree(cut, tmp_path / "run")


def checkpoint_files(run, number="*"):
    return sorted((run / "checkpoints").glob(f"ckpt-{number}.*"))


def remove_checkpoints(run):
    shutil.rmtree(run / "checkpoints")


def remove_newest_checkpoints(run):
    for path in checkpoint_files(run):
        path.unlink()


def edit_config(**changes):
    def edit(run):
        record = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps({**record, **changes}))

    return edit


def leave(run):
    pass


@pytest.mark.parametrize(
    ("harm", "overrides", "message"),
    [
        (remove_checkpoints, {}, "has lost its checkpoints, though its run has come to epoch 2: put them back into"),
        (remove_newest_checkpoints, {}, "has lost its checkpoints, though its run has come to epoch 2"),
        (leave, {"epochs": 5}, r"recipe\.epochs 3, not 5: .*another schedule: a new run can start from .*model\.keras"),
        (leave, {"epochs": 1}, r"recipe\.epochs 3, not 1"),
        (leave, {"batch_size": 4}, r"recipe\.batch_size 8, not 4: choose another --workdir$"),
        (leave, {"seed": 1, "momentum": 0.1, "epochs": 9, "cutout": 2, "flip": True}, "; and 2 more: choose"),
        (edit_config(magic=3), {}, "magic, which this version does not know"),
    ],
)
def test_a_run_that_cannot_be_continued_is_refused_and_left_as_it_is(harm, overrides, message, run, images):
    harm(run)
    before = files_of(run)
    with pytest.raises(UserError, match=message):
        train(run_config(images, **{"epochs": 3, **overrides}), run)
    assert files_of(run) == before


def test_classes_of_other_names_are_other_data(run, images, tmp_path):
    """Catches cats that become dogs: as many images of each, with the same numbers for labels."""
    renamed = shutil.copytree(images, tmp_path / "images")
    (renamed / "dog").rename(renamed / "zebra")
    with pytest.raises(UserError, match=r"holds a run on other data .*classes of other names"):
        train(run_config(renamed), run)


def remove_newest_index(run):
    checkpoint_files(run, 8)[-1].unlink()


def remove_newest(run):
    for path in checkpoint_files(run, 8):
        path.unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3}\n')


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (remove_newest_index, "ckpt-8 has no index file; continuing from the one before it"),
        (remove_newest, "its run had come to epoch 3, but the newest checkpoint that is left is of epoch 1"),
        (lambda run: (run / "metrics.jsonl").unlink(), "has no readable line for epoch 1, 2"),
        (lambda run: shutil.rmtree(run / "checkpoints" / "best"), "has lost its best weights; those of the next epoch"),
    ],
)
def test_what_a_continued_run_has_lost_is_said(harm, line, run, images, capsys):
    harm(run)
    train(run_config(images), run)
    (printed,) = capsys.readouterr().err.splitlines()
    assert line in printed
    assert read_metrics(run)[-1]["epoch"] == 3
    assert list((run / "checkpoints" / "best").glob("ckpt-*.index"))


def test_a_finished_run_gets_lost_best_weights_back_from_its_last_epoch(run, images, capsys):
    train(run_config(images), run)
    shutil.rmtree(run / "checkpoints" / "best")
    train(run_config(images), run)
    printed = capsys.readouterr()
    assert "lost its best weights; those of the last epoch take their place" in printed.err
    assert "has finished its training, after epoch 3" in printed.out
    next((run / "checkpoints" / "best").glob("*.data*")).write_bytes(b"")
    before = files_of(run)
    with pytest.raises(UserError, match=r"best.ckpt-12 is damaged.*; remove .*best, and the newest weights take its place"):
        train(run_config(images), run)
    assert files_of(run) == before


def test_a_field_that_an_earlier_version_had_not_has_its_default(run, images):
    record = json.loads((run / "config.json").read_text())
    del record["deterministic"], record["recipe"]["ema_momentum"]
    (run / "config.json").write_text(json.dumps(record))
    workdir_module.check_same_run(run / "config.json", run_config(images))
    with pytest.raises(UserError, match="deterministic False, not True"):
        workdir_module.check_same_run(run / "config.json", run_config(images, deterministic=True))


def manager(folder, **options):
    """A checkpoint manager of three small weights, and what it saves."""
    state = TrainState([3, 1, "data"])
    weights = [keras.Variable(np.arange(4.0) + number) for number in range(3)]
    return CheckpointManager(folder, weights, [keras.Variable(5)], state, **options), weights, state


@pytest.mark.parametrize(
    "name",
    [
        "run [lr=0.1]",
        "back\\slash",
        "\\\\server\\share",
        "s*r?",
        "[!a]{a,b}",
        "50% a,b",
        "u\u0308 \u00fc",
        "-dash",
        "~",
        "x" * 250,
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_checkpoint_is_found_whatever_its_folder_is_called(name, tmp_path):
    """Catches TensorFlow, which takes the path of a checkpoint for a pattern: it saves, and does not restore."""
    saved, _, state = manager(tmp_path / name)
    state.epoch = 7
    saved.save(3)
    restored, weights, state = manager(tmp_path / name)
    weights[2].assign([0, 0, 0, 0])
    assert restored.restore_latest()
    assert state.epoch == 7
    np.testing.assert_array_equal(weights[2], np.arange(4.0) + 2)


def test_a_checkpoint_with_any_changed_byte_is_named_or_says_the_same(tmp_path):
    """Catches weights, or a place in the run, that a failing disk made up."""
    saved, _, state = manager(tmp_path)
    saved.save(1)
    whole, rng = {path: path.read_bytes() for path in tmp_path.iterdir()}, random.Random(0)
    named = 0
    for _ in range(60):
        path = rng.choice([*whole])
        changed = bytearray(whole[path])
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(rng.choice([changed, changed[: len(changed) // 2], b""]))
        restored, weights, found = manager(tmp_path)
        try:
            restored.restore_latest()
            assert found.serialize() == state.serialize()
            np.testing.assert_array_equal(np.stack(weights), np.arange(4.0) + np.arange(3)[:, None])
        except UserError as error:
            named += str(tmp_path / "ckpt-1") in str(error)
        path.write_bytes(whole[path])
    assert named > 40


def test_what_a_killed_process_left_of_a_checkpoint_is_swept(tmp_path):
    saved, _, _ = manager(tmp_path, max_to_keep=1)
    (tmp_path / "ckpt-2_temp").mkdir()
    (tmp_path / "ckpt-1.data-00000-of-00001").write_bytes(b"half")
    (tmp_path / "ckpt-1.notes").write_text("a user's")
    saved.save(3)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"ckpt-1.notes", "ckpt-3.index", "ckpt-3.data-00000-of-00001"}


def test_a_disk_without_locks_is_said_and_used(cut, monkeypatch, capsys):
    """Catches a network disk on which nothing can be trained; and NFS, which locks only what is open for writing."""
    fcntl = pytest.importorskip("fcntl")
    modes = []

    def flock(file, operation):
        modes.append(file.mode)
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    workdir_module.lock(cut / "config.json").close()
    assert modes == ["r+"]
    assert "is on a disk without locks (No locks available)" in capsys.readouterr().err


def test_the_work_directory_needs_nothing_that_windows_lacks(cut, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = importlib.util.spec_from_file_location("keras_resnet.training.on_windows", workdir_module.__file__)
    on_windows = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(on_windows)
    on_windows.lock(cut / "config.json").close()


@pytest.mark.parametrize(("name", "reason"), [("b\udcff", "is not UTF-8"), ("a\0b", "has a null byte")])
def test_a_name_that_no_file_can_have_is_refused_at_once(name, reason, images, tmp_path):
    with pytest.raises(UserError, match=f"--workdir is .*{reason}"):
        train(run_config(images), tmp_path / name)


def test_events_come_back_if_somebody_removes_them(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    logger.on_epoch_end(0, {"loss": 1.0})
    shutil.rmtree(tmp_path / "events")
    logger.on_epoch_end(1, {"loss": 0.5})
    (path,) = (tmp_path / "events" / "train").iterdir()
    assert any(event.summary.value for event in tf.compat.v1.train.summary_iterator(str(path)))


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.EIO, "Input/output error"), SystemExit(1)])
def test_a_terminal_that_is_closed_does_not_end_the_training(error, monkeypatch):
    """Catches the night's work that dies with the terminal it was started from, or with `| head`."""

    def fail(*arguments, **options):
        raise error

    progress = ProgressBar(3, 20, 1)
    monkeypatch.setattr(progress._bar.console, "print", fail)
    monkeypatch.setattr(progress._bar, "stop", fail)
    progress.on_train_begin()
    progress.on_epoch_end(0, {"loss": 1.0})
    progress.on_train_end()
