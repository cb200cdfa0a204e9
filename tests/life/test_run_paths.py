"""Catches folders whose names TensorFlow and tensorflow-datasets take for patterns, and so do not find what they wrote."""

import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from life.runs import one_layer_networks, run_config, write_images

from keras_resnet.cli import COMMANDS
from keras_resnet.export.formats.saved_model.runner import SavedModelRunner
from keras_resnet.files import without_pattern
from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.data.tfds import TfdsDataset
from keras_resnet.training.train import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")

PATTERN = "run [lr=0.1], 50% \\*?"


def test_a_run_on_such_data_in_such_a_folder_trains_and_comes_to_its_end(tmp_path):
    images = write_images(tmp_path / PATTERN / "images", classes=("u\u0308ber [a]", "b\\c"))
    with one_layer_networks(conclusion=False):
        for _ in range(2):
            train(run_config(images, 1), tmp_path / PATTERN / "run")
    assert [record["epoch"] for record in read_metrics(tmp_path / PATTERN / "run")] == [1]


def test_a_home_folder_behind_the_equals_sign_is_the_users(tmp_path, monkeypatch):
    """Catches a folder called ~ in the current one, which somebody will remove with `rm -r ~`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    flags, _ = COMMANDS["train"].parse("train", ["--workdir=~/run", "--model=~a", "--weights=~/w.h5"])
    assert (flags.workdir, flags.model, flags.weights) == (str(tmp_path / "run"), "~a", str(tmp_path / "w.h5"))


def test_a_run_in_a_linked_folder_by_a_relative_path(tmp_path, monkeypatch):
    images = write_images(tmp_path / "images")
    (tmp_path / "real").mkdir()
    (tmp_path / "link [1]").symlink_to("real")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    with one_layer_networks(conclusion=False):
        train(run_config(images, 1), f"..{os.sep}link [1]{os.sep}run{os.sep}")
    assert (tmp_path / "real" / "run" / "checkpoints" / "best").is_dir()


def test_a_saved_model_in_such_a_folder_is_loaded(tmp_path):
    class Mean(tf.Module):
        def __init__(self):
            self.shift = tf.Variable(2.0)  # variables are what is looked up by pattern

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.uint8, name="images")])
        def serve(self, images):
            return {"probabilities": tf.cast(images, tf.float32) + self.shift}

    mean = Mean()
    tf.saved_model.save(mean, str(tmp_path / PATTERN), signatures={"serving_default": mean.serve})
    found = SavedModelRunner(tmp_path / PATTERN).function(images=tf.constant([[1, 2]], tf.uint8))
    np.testing.assert_array_equal(found["probabilities"], [[3, 4]])


def test_a_prepared_dataset_in_such_a_folder_is_found(tmp_path):
    """Catches the advice to remove a dataset and to download it again."""
    for _ in range(2):
        assert len(TfdsDataset("digits", tmp_path / PATTERN, None, "skip").class_names) == 10


def test_where_no_link_can_be_made_a_copy_is_read(tmp_path, monkeypatch):
    (tmp_path / PATTERN).mkdir()
    (tmp_path / PATTERN / "file").write_text("content")

    def no_links(*arguments, **options):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.symlink_to", no_links)
    with without_pattern(tmp_path / PATTERN) as folder:
        assert (folder / "file").read_text() == "content"
        assert "[" not in str(folder)
    assert not folder.exists()
