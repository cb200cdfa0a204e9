"""Catches a run in a bucket that ends otherwise than the same run on a disk, or that takes half a checkpoint for a whole one.

`ram://` is TensorFlow's file system in the memory of one process: like an object store it knows no locks and no `pathlib`.
"""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resnet import UserError
from keras_resnet.errors import TrainingInterrupted
from keras_resnet.models.options import ModelOptions
from keras_resnet.remote import as_path, check_reachable
from keras_resnet.remote_copies import local
from keras_resnet.training import recipes
from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.checkpoints import CheckpointManager, TrainState, checkpoints_in
from keras_resnet.training.config import TrainConfig, read_config
from keras_resnet.training.train import train


class SendSignal(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 14:
            os.kill(os.getpid(), signal.SIGTERM)


def config(**overrides):
    recipe = recipes.get_recipe("digits", epochs=2, batch_size=128)
    narrow = ModelOptions(width_multiplier=0.25)
    given = {"model": "ResNet20V2", "dataset": "digits", "recipe_name": "digits", "recipe": recipe, "options": narrow}
    return TrainConfig(**{**given, **overrides})


def files_in(folder):
    """The names of the files in a folder, those of the events by how they begin."""
    found = [path for inner, _, names in tf.io.gfile.walk(str(folder)) for name in names if (path := f"{inner}/{name}")]
    return sorted(path.removeprefix(str(folder)).strip("/").partition("tfevents")[0] for path in found)


def test_a_run_at_a_url_is_stopped_and_continued_like_one_on_a_disk(tmp_path, capfd):
    """Catches work directories that become `gs:/bucket`, and all that only a local file system can do."""
    url = "ram://bucket/runs/digits"
    train(config(keep_checkpoints=1), tmp_path / "run")
    with pytest.raises(TrainingInterrupted, match="stopped by SIGTERM after epoch 1 and 5 steps"):
        train(config(steps_per_execution=1), url, [SendSignal()])
    test = train(config(keep_checkpoints=1), url)
    assert "ram://bucket/runs/digits is in a file system without locks" in capfd.readouterr().err
    ours, theirs = (keras.saving.load_model(path) for path in (local(f"{url}/model.keras"), tmp_path / "run" / "model.keras"))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    records = read_metrics(as_path(url))
    assert [record.get("epoch") for record in records] == [1, 2, None]
    assert records[-1]["test"]["accuracy"] == test["accuracy"]
    assert {*files_in(url)} == {*files_in(tmp_path / "run")}
    assert read_config(f"{url}/config.json") == config(steps_per_execution=1)
    assert not os.path.exists("ram:")  # what pathlib makes of it
    with pytest.raises(UserError, match="holds another run, with seed 0, not 1"):
        train(config(seed=1), url)


def variables(*values):
    return [keras.Variable(np.array(value, np.float32)) for value in values]


def test_a_checkpoint_whose_upload_was_cut_off_is_named_and_the_one_before_it_is_taken(capfd):
    """TensorFlow writes the index last: data without one is half a checkpoint."""
    folder = as_path("ram://bucket/half/checkpoints")
    weights, state = variables([1.0, 2.0]), TrainState()
    manager = CheckpointManager(folder, weights, [], state)
    for state.step in (1, 2):
        weights[0].assign([float(state.step)] * 2)
        manager.save(state.step)
    (folder / "ckpt-2.index").unlink()
    found, state = variables([0.0, 0.0]), TrainState()
    manager = CheckpointManager(folder, found, [], state)
    assert manager.restore_latest()
    assert (state.step, found[0].numpy().tolist()) == (1, [1.0, 1.0])
    message = "checkpoint ram://bucket/half/checkpoints/ckpt-2 has no index file; continuing from the one before it"
    assert message in capfd.readouterr().err
    manager.save(2)
    assert [path.name for path in checkpoints_in(folder)] == ["ckpt-2", "ckpt-1"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/run", "s3://bucket/run has the scheme s3, which is not implemented; the schemes are .*ram"),
        ("gs://", "gs:// names no bucket"),
        ("ram://bucket/run[1]", "would be a pattern for TensorFlow"),
    ],
)
def test_a_url_that_cannot_be_a_work_directory_is_refused(url, message):
    with pytest.raises(UserError, match=message):
        train(config(), url)


def test_a_server_that_refuses_or_does_not_answer_is_one_line(monkeypatch):
    """Catches TensorFlow's lines of HTTP, and the many minutes for which it tries again."""
    text = 'Error executing an HTTP request: HTTP response code 403 with body \'{\n "error": {\n  "message": "no access"\n\''

    def refuse(url):
        raise tf.errors.PermissionDeniedError(None, None, f"{text}\n\t when reading metadata of {url}")

    monkeypatch.setattr(tf.io.gfile, "exists", refuse)
    with pytest.raises(UserError) as raised:
        check_reachable(as_path("gs://bucket/run"))
    said = "Error executing an HTTP request: HTTP response code 403: no access"
    assert str(raised.value).startswith(f"gs://bucket/run cannot be reached: {said}; the schemes are ")
    monkeypatch.setattr("keras_resnet.remote.SECONDS_TO_ANSWER", 0.01)
    answered = tf.train.Coordinator()
    monkeypatch.setattr(tf.io.gfile, "exists", lambda url: answered.wait_for_stop(10))
    with pytest.raises(UserError, match="gs://bucket/run cannot be reached: there was no answer in 0 s; the schemes are "):
        check_reachable(as_path("gs://bucket/run"))
    answered.request_stop()
