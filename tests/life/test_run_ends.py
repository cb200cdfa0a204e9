"""Catches a whole training whose result is lost to what comes after it, and a signal that nobody answers."""

import errno
import importlib
import os
import shutil
import signal
import sys

import numpy as np
import pytest
import tensorflow as tf
from life.runs import files_of, one_layer_networks, run_config, write_images
from PIL import Image

from keras_resnet import UserError
from keras_resnet.errors import ReportFailed, TrainingInterrupted
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training import finalize, signals
from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.data.containers.records import FileRecords
from keras_resnet.training.data.decoding.bad_images import BadImages
from keras_resnet.training.data.splits import EncodedSplit
from keras_resnet.training.signals import StopSignal
from keras_resnet.training.train import missing_file_as_user_error, train

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="module", autouse=True)
def images(tmp_path_factory):
    with one_layer_networks():
        yield write_images(tmp_path_factory.mktemp("ends") / "images")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, images):
    """A run of one epoch that lacks only what comes after its training."""
    workdir = tmp_path_factory.mktemp("ends") / "trained"
    with one_layer_networks(conclusion=False):
        train(run_config(images, 1), workdir)
    return workdir


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def no_space(*arguments, **options):
    raise FULL


def test_what_fails_after_the_training_costs_no_result(run, images, monkeypatch):
    """A full disk for the curves, and a Matplotlib that is not there for the report; the same command finishes the run."""
    with monkeypatch.context() as patch:
        patch.setattr(finalize, "draw_curves", no_space)
        patch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(
            ReportFailed, match=r"model\.keras, .*100\.00%, but curves\.png and report\.html could not"
        ) as failed:
            train(run_config(images, 1), run)
    assert (run / "model.keras").is_file()
    assert failed.value.result == read_metrics(run)[-1]["test"]
    assert train(run_config(images, 1), run) == failed.value.result
    assert {"curves.png", "report.html"} <= {path.name for path in run.iterdir()}


def test_a_disk_that_is_full_for_the_classifier_is_said_and_the_run_is_kept(run, images, monkeypatch):
    before = files_of(run)
    monkeypatch.setattr(finalize, "write_classifier", no_space)
    with pytest.raises(OSError, match="No space left"):
        train(run_config(images, 1), run)
    assert files_of(run) == before


def test_a_report_that_fails_is_one_line_and_exit_status_1(run, images, monkeypatch, in_process):
    monkeypatch.setattr(finalize, "draw_curves", no_space)
    monkeypatch.setattr(finalize, "write_report", lambda *arguments, **options: None)
    done = in_process("train", f"--config={run / 'config.json'}", f"--workdir={run}")
    assert done.returncode == 1
    assert done.err.count("\n") == 1
    assert "curves.png could not be written" in done.err


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("number", signals.STOP_SIGNALS)
def test_a_signal_outside_of_the_loop_ends_the_run_in_one_line(number, phase, run, images, monkeypatch, tmp_path):
    """Catches a process that is killed without a word, and its temporary files, while it reads images or draws curves."""
    module, name = {"before": ("context", "prepare_images"), "after": ("finalize", "write_classifier")}[phase]
    monkeypatch.setattr(f"keras_resnet.training.{module}.{name}", lambda *arguments: os.kill(os.getpid(), number))
    where = {
        "before": "before the first step; the same command starts again",
        "after": "after the training; everything is saved",
    }
    handler = signal.getsignal(number)
    with pytest.raises(TrainingInterrupted, match=f"stopped by {number.name} {where[phase]}") as stopped:
        train(run_config(images, 1), run if phase == "after" else tmp_path / "new")
    assert stopped.value.signal == number
    assert signal.getsignal(number) == handler


def test_a_signal_that_the_process_ignores_stays_ignored(monkeypatch):
    """Catches a run under nohup that ends with its terminal all the same."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_ctrl_c_ends_the_run_at_once():
    with StopSignal() as stop, stop.polled():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_signals_of_windows_will_do(monkeypatch):
    with monkeypatch.context() as patch:
        patch.delattr(signal, "SIGHUP", raising=False)
        patch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
        assert importlib.reload(signals).STOP_SIGNALS == (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    importlib.reload(signals)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:40])


CHANGES = {
    cut_off: "none of 1 images can be read",
    lambda path: path.write_text("text"): "none of 1 images can be read",
    lambda path: path.unlink(): r"an image .*cat\.png.*the same command continues",
}


@pytest.mark.parametrize("harm", CHANGES)
def test_an_image_that_changes_during_the_training_is_named(harm, tmp_path, capfd):
    """Catches a traceback of TensorFlow's in place of the name of a file, whatever has happened to it."""
    path = tmp_path / "cat.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)).save(path)
    harm(path)
    encoded = EncodedSplit(FileRecords.of("", [str(path)]), np.zeros(1, int), 1, BadImages("skip"))
    dataset = encoded.prepared(Preprocessing(8, 8, 1, (0.5,), (0.5,))).batches(np.zeros((1, 1), int))
    with pytest.raises(UserError, match=CHANGES[harm]), missing_file_as_user_error():
        next(iter(dataset))
    assert ("cat.png cannot be read" in capfd.readouterr().err) == path.exists()


def test_other_errors_of_tensorflow_stay_what_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError), missing_file_as_user_error():
        tf.reshape(tf.zeros(3), (2, 2))
