"""Catches callbacks that work under `fit` and not here: methods, arguments and logs that differ, and Keras' own that fail."""

import csv
import types
import warnings

import keras
import numpy as np
import pytest
from life.runs import STEPS, CutError, one_layer_networks, run_config, write_images

from keras_resnet import UserError
from keras_resnet.training.callbacks.fit_callbacks import FitCallbacks
from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.train import train


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    with one_layer_networks(conclusion=False):
        yield write_images(tmp_path_factory.mktemp("fit") / "images")


METHODS = [
    f"on_{what}_{when}"
    for what in ("train", "epoch", "train_batch", "test", "test_batch")
    for when in ("begin", "end")
]  # fmt: skip


class Recorder(keras.callbacks.Callback):
    """Notes the calls of all methods, with the numbers of epochs and batches and the names of the logs that `fit` has."""

    NAMES = ("loss", "accuracy", "val_loss", "val_accuracy")

    def __init__(self, stop_at=None):
        super().__init__()
        self.calls, self.stop_at = [], stop_at
        for method in METHODS:
            setattr(self, method, lambda *arguments, name=method, **options: self.note(name, *arguments, **options))

    def note(self, name, *arguments, logs=None):
        *number, last = [*arguments, logs] if logs is not None else arguments or (None,)
        if last is not None and not isinstance(last, dict):
            number, last = [*number, last], None
        self.calls.append((name, *number, *(key for key in self.NAMES if key in (last or {}))))
        if self.calls[-1][: len(self.stop_at or "-")] == self.stop_at:
            self.model.stop_training = True


def calls_under_fit(epochs, stop_at):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    recorder, images, labels = Recorder(stop_at), np.zeros((8 * STEPS, 8, 8, 1)), np.zeros(8 * STEPS)
    held_out = (images[:8], labels[:8])
    model.fit(images, labels, batch_size=8, epochs=epochs, validation_data=held_out, callbacks=[recorder], verbose=0)
    return recorder


def test_methods_are_called_as_by_fit(images, tmp_path):
    """Catches batches that are counted over the whole run, methods that are left out, and a stop that waits for the epoch."""
    stop_at = ("on_epoch_begin", 1)
    ours, theirs = Recorder(stop_at), calls_under_fit(2, stop_at)
    train(run_config(images, 2), tmp_path / "run", [ours])
    assert [call for call in ours.calls if "test_batch" not in call[0]] == [
        call for call in theirs.calls if "test_batch" not in call[0]
    ]
    assert {call[0] for call in ours.calls} == set(METHODS)
    assert ours.params.keys() == theirs.params.keys()
    assert (ours.params["epochs"], ours.params["steps"]) == (2, STEPS)


class Owner(keras.callbacks.Callback):
    """A user's own, which predicts with, evaluates and saves the network."""

    def __init__(self, path):
        super().__init__()
        self.path, self.found = path, []

    def on_epoch_end(self, epoch, logs=None):
        pixels = np.full((4, 8, 8, 1), 200, np.uint8)
        probabilities = self.model.predict(pixels, verbose=0)
        loss, accuracy = self.model.evaluate(pixels, probabilities.argmax(axis=1), verbose=0)
        self.found.append((probabilities.shape, accuracy, loss < np.log(2)))
        self.model.save(self.path)


def test_the_callbacks_of_keras_work(images, tmp_path):
    """Catches metrics that Keras cannot tell the direction of, and a network that is not compiled."""
    K = keras.callbacks  # noqa: N806
    lines, owner = [], Owner(tmp_path / "own.keras")
    callbacks = [
        K.EarlyStopping("val_accuracy", patience=9, restore_best_weights=True, baseline=0.1, start_from_epoch=1),
        K.ModelCheckpoint(tmp_path / "best.keras", monitor="val_accuracy", save_best_only=True),
        K.ModelCheckpoint(tmp_path / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=3),
        K.CSVLogger(tmp_path / "log.csv", append=True),
        K.TensorBoard(tmp_path / "board", write_graph=False),
        K.BackupAndRestore(tmp_path / "backup"),
        K.TerminateOnNaN(),
        K.ProgbarLogger(),
        K.RemoteMonitor("http://127.0.0.1:9"),
        K.LambdaCallback(on_epoch_end=lambda epoch, logs: lines.append((epoch, logs["val_accuracy"]))),
        owner,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the server cannot be reached
        train(run_config(images, 2, learning_rate=0.03), tmp_path / "run", callbacks)
    assert lines == [(0, 1.0), (1, 1.0)]
    assert owner.found == [((4, 2), 1.0, True)] * 2
    assert owner.model.history.epoch == [0, 1]
    assert {path.name for path in tmp_path.glob("*.weights.h5")} == {"1-3.weights.h5", "2-2.weights.h5"}
    with (tmp_path / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    for saved in ("best.keras", "own.keras"):
        assert keras.saving.load_model(tmp_path / saved).output_shape == (None, 2)


@pytest.mark.parametrize(
    ("callback", "advice"),
    [
        (keras.callbacks.ReduceLROnPlateau(), "the learning rate is the recipe's"),
        (keras.callbacks.LearningRateScheduler(float), "the learning rate is the recipe's"),
        (keras.callbacks.SwapEMAWeights(), "ema_momentum"),
    ],
)
def test_what_is_the_recipes_is_refused_with_what_to_do(callback, advice):
    """Catches a TypeError about the optimizer, after an epoch."""
    with pytest.raises(UserError, match=f"leave out the callback {type(callback).__name__}: .*{advice}"):
        FitCallbacks([callback], types.SimpleNamespace())


def test_an_exception_at_the_end_of_an_epoch_does_not_cost_it(images, tmp_path):
    """Catches an epoch of hours that is lost to a server that does not answer; the exception is the callback's own."""

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise CutError("mine")

    with pytest.raises(CutError, match="mine"):
        train(run_config(images, 2), tmp_path / "run", [Break()])
    assert (tmp_path / "run" / "checkpoints" / f"ckpt-{STEPS}.index").is_file()


def test_a_run_that_a_callback_ended_stays_ended(images, tmp_path, capsys):
    """Catches the same command that trains on, with a callback that has forgotten what it saw."""
    for _ in range(2):
        train(run_config(images, 3), tmp_path / "run", [keras.callbacks.EarlyStopping(min_delta=1000, patience=1)])
    assert [record.get("epoch") for record in read_metrics(tmp_path / "run")] == [1, 2]
    assert "has finished its training, after epoch 2" in capsys.readouterr().out


def test_with_averaged_weights_a_callback_saves_those_that_were_validated(images, tmp_path):
    """Catches a checkpoint whose accuracy is not the val_accuracy that it was chosen by."""

    class Compare(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            self.validated = self.model.get_weights()

        def on_epoch_end(self, epoch, logs=None):
            for one, other in zip(self.validated, self.model.get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)

    train(run_config(images, 1, ema_momentum=0.9), tmp_path / "run", [Compare()])
