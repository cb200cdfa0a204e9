"""Catches a run that reads its data, for hours, before it says that its weights, its batches or its network cannot be."""

import pytest

from keras_resnet import UserError
from keras_resnet.training import context, recipes
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.train import train
from keras_resnet.training.workdir import open_workdir


def config(data_dir, model="ResNet20V2", recipe="digits", **fields):
    return TrainConfig(model, "digits", recipe, recipes.get_recipe(recipe, epochs=1), data_dir=str(data_dir), **fields)


@pytest.fixture
def no_data(monkeypatch):
    """Fails a test that opens a dataset."""

    def opened(*arguments, **named):
        raise AssertionError("the data are opened")

    monkeypatch.setattr(context, "Dataset", opened)


@pytest.fixture
def other_weights(tmp_path):
    """The weights of a network with three classes."""
    import keras_resnet

    keras_resnet.ResNet20V2(classes=3, input_shape=(None, None, 1)).save_weights(tmp_path / "other.weights.h5")
    return str(tmp_path / "other.weights.h5")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "ResNet32V2"}, "does not fit|missing|does not have"),
        ({}, "3 classes|head_dense|shape"),
        ({"shortcut": "Z"}, "unknown shortcut 'Z'"),
        ({"strategy": "mirrored", "stack_units": "on", "sync_batch_norm": True}, "stack_units is 'on'"),
    ],
)
@pytest.mark.usefixtures("no_data")
def test_what_does_not_fit_is_said_before_the_data_are_opened(fields, message, data_dir, tmp_path, other_weights):
    with pytest.raises(UserError, match=message):
        train(config(data_dir, weights=other_weights, **fields), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_data")
def test_batches_that_the_replicas_cannot_divide_are_refused_before_the_data_are_opened(data_dir, tmp_path):
    odd = TrainConfig("ResNet20V2", "digits", "digits", recipes.get_recipe("digits", batch_size=63), strategy="mirrored")
    with pytest.raises(UserError, match="batch_size is 63, over all replicas; it must be divisible by 2 replicas"):
        train(odd, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_data")
def test_a_run_that_another_process_continues_is_refused_before_the_data_are_opened(data_dir, tmp_path):
    with open_workdir(tmp_path / "run", config(data_dir)), pytest.raises(UserError, match="another process is training in"):
        train(config(data_dir), tmp_path / "run")
    with pytest.raises(UserError, match="holds another run, with seed 0, not 1"):
        train(config(data_dir, seed=1), tmp_path / "run")


def test_a_run_is_locked_while_its_data_are_read(data_dir, tmp_path, monkeypatch):
    """Catches two processes that both read the data for hours, of which one is refused then."""
    open_workdir(tmp_path / "run", config(data_dir)).close()
    messages = []

    def opened(*arguments, **named):
        with pytest.raises(UserError) as caught:
            open_workdir(tmp_path / "run", config(data_dir))
        messages.append(str(caught.value))
        raise UserError("enough")

    monkeypatch.setattr(context, "Dataset", opened)
    with pytest.raises(UserError, match="enough"):
        train(config(data_dir), tmp_path / "run")
    assert "another process is training in" in messages[0]
    open_workdir(tmp_path / "run", config(data_dir)).close()  # and no longer than that
