"""Catches runs that depend on how their units are run, and callbacks that see or change other weights than the training has."""

import itertools

import keras
import numpy as np
import pytest
from conftest import weights_of
from forked import forked_command

from keras_resnet.models.options import ModelOptions
from keras_resnet.training import recipes
from keras_resnet.training.callbacks.fit_callbacks import FitCallbacks
from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.context import TrainingContext, create_context
from keras_resnet.training.data.batches import EvalBatches
from keras_resnet.training.step import TrainStep
from keras_resnet.training.train import train

DROPPING = ModelOptions(width_multiplier=0.25, stochastic_depth=0.3, classifier_dropout=0.1)
WAYS = {
    "off": {"stack_units": "off"},
    "on": {"stack_units": "on"},
    "rematerialized": {"stack_units": "on", "rematerialize": True},
}


def config(data_dir, way="on", *, epochs=2, **overrides):
    """Ten steps an epoch."""
    recipe = recipes.get_recipe("digits", epochs=epochs, batch_size=128, crop_padding=1, ema_momentum=0.9)
    given = {"dataset": "digits", "recipe_name": "digits", "recipe": recipe, "data_dir": str(data_dir), "options": DROPPING}
    return TrainConfig(**{"model": "ResNet32V2", **given, **WAYS[way], **overrides})


def flags(way):
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in WAYS[way].items()]


COMMAND = (
    "train", "--model=ResNet32V2", "--width_multiplier=0.25", "--stochastic_depth=0.3", "--classifier_dropout=0.1",
    "--dataset=digits", "--batch_size=128", "--epochs=2", "--crop_padding=1", "--ema_momentum=0.9", "--deterministic",
)  # fmt: skip
CUT = """
from keras_resnet.training.train import Trainer
whole = Trainer.train_epoch
def cut(self):
    if self.state.epoch == 1:
        raise SystemExit(9)
    return whole(self)
Trainer.train_epoch = cut
"""


def assert_same_bits(path, other):
    models = [keras.saving.load_model(file) for file in (path, other)]
    for one, two in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data_dir):
    workdir = tmp_path_factory.mktemp("stacked") / "undisturbed"
    done = forked_command(*COMMAND, f"--data_dir={data_dir}", f"--workdir={workdir}", *flags("off"))
    assert done.returncode == 0, done.err
    return workdir


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [("off", "on"), ("on", "off"), ("off", "rematerialized")])
def test_a_run_goes_on_however_its_units_run(before, after, undisturbed, tmp_path, data_dir):
    """Catches checkpoints that fit one way only: a run may go on where there is more memory, or less. To the bit."""
    command = (*COMMAND, f"--data_dir={data_dir}", f"--workdir={tmp_path / 'run'}")
    assert forked_command(*command, *flags(before), before=CUT).returncode == 9
    done = forked_command(*command, *flags(after))
    assert done.returncode == 0, done.err
    assert "continuing after epoch 1/2" in done.out
    assert_same_bits(tmp_path / "run" / "model.keras", undisturbed / "model.keras")


def test_no_step_is_traced_twice(tmp_path, data_dir, monkeypatch):
    """Catches a function that is traced anew in every epoch, or for the last batch of a split: that takes minutes."""
    calls = counted_calls(monkeypatch)
    train(config(data_dir), tmp_path / "run")
    assert calls == {"train": 1, "evaluate": 1}


def test_each_replica_is_traced_once(data_dir, monkeypatch, mirrored):
    calls = counted_calls(monkeypatch)
    context = create_context(config(data_dir, epochs=2), mirrored)
    for epoch in range(2):
        list(context.loop.train(context.train_batches(epoch)))
        context.loop.evaluate(EvalBatches(context.validation_split, context.recipe.batch_size))
    assert calls == {"train": 2, "evaluate": 2}


def counted_calls(monkeypatch):
    """How often the Python functions of a step are called."""
    calls = dict.fromkeys(("train", "evaluate"), 0)

    def count(name, original):
        def call(self, *arguments):
            calls[name] += 1
            return original(self, *arguments)

        monkeypatch.setattr(TrainStep, name, call)

    for name in calls:
        count(name, getattr(TrainStep, name))
    return calls


@pytest.fixture
def contexts(monkeypatch):
    """The contexts of the runs that `train` makes."""
    made = []

    def create(*arguments):
        made.append(create_context(*arguments))
        return made[-1]

    monkeypatch.setattr(f"{train.__module__}.create_context", create)
    return made


def assert_model_has_the_weights(model, network):
    found = weights_of(network)
    assert len(found) == len(model.weights)
    for (name, index), value in found.items():
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[index], value, err_msg=name)


def test_callbacks_see_the_weights_of_the_training(tmp_path, data_dir, contexts):
    """At the end of an epoch the averaged ones, which were validated. Catches a model that is an execution behind."""

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.look()

        def on_epoch_end(self, epoch, logs=None):
            self.look()

        def look(self):
            assert_model_has_the_weights(self.model, contexts[0].network)
            seen.append(self.model.get_layer("stage2_unit4_conv1").get_weights()[0])

    seen = []
    train(config(data_dir, epochs=1, steps_per_execution=5), tmp_path / "run", [Look()])
    assert len(seen) == 3
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(seen, 2))


def test_a_weight_that_a_callback_changes_is_changed_in_the_training(tmp_path, data_dir, contexts):
    """In its own unit, and no other."""

    class Change(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(gammas())

        def on_train_batch_end(self, batch, logs=None):
            seen.append(gammas())
            if batch == 4:
                self.model.get_layer("stage2_unit4_norm1").gamma.assign([50.0] * 8)

    def gammas():
        weights = weights_of(contexts[0].network)
        return [weights[f"stage2_unit{unit}_norm1", 0].mean() for unit in range(1, 6)]

    seen = []
    train(config(data_dir, epochs=1, steps_per_execution=5), tmp_path / "run", [Change()])
    _, before, changed, trained = np.array(seen)
    assert (changed != before).tolist() == [False, False, False, True, False]
    assert changed[3] == 50
    assert 0 < abs(trained[3] - 50) < 10


def test_without_callbacks_no_whole_network_is_built_for_the_training(tmp_path, data_dir, monkeypatch):
    """Building 1001 layers takes longer than training them for an epoch on few images."""

    class BuiltError(Exception):
        pass

    def build(self):
        raise BuiltError

    monkeypatch.setattr(TrainingContext, "classifier", build)
    with pytest.raises(BuiltError):  # for its file, in the end
        train(config(data_dir), tmp_path / "run")
    assert [record.get("epoch") for record in read_metrics(tmp_path / "run")] == [1, 2]


def test_a_callback_saves_the_classifier_of_its_epoch(tmp_path, data_dir):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    train(config(data_dir), tmp_path / "run", [checkpoint])
    epochs = read_metrics(tmp_path / "run")[:2]
    best = max(epochs, key=lambda record: (record["val_accuracy"], -record["val_loss"]))["epoch"]
    assert_same_bits(tmp_path / f"{best}.keras", tmp_path / "run" / "model.keras")


def test_a_callback_that_changes_nothing_leaves_the_replicas_their_statistics(data_dir, mirrored):
    """Each keeps its own while training: were they written back, a callback would change the training by being there."""

    class Change(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.get_layer("stage2_unit4_norm1").moving_mean.assign([7.0] * 8)

    context = create_context(config(data_dir, epochs=1), mirrored)
    callbacks = FitCallbacks([Change()], context)
    next(context.loop.train(context.train_batches(0)))
    (statistics,) = [
        weight.variable.value
        for weight in context.network.weights
        if "stage2_unit4_norm1" in weight.layer_names and weight.template.name == "moving_mean"
    ]
    before = [value.numpy() for value in mirrored.experimental_local_results(statistics)]
    assert not np.allclose(*before)
    callbacks.call("on_train_batch_end", 0, {})
    after = [value.numpy() for value in mirrored.experimental_local_results(statistics)]
    np.testing.assert_array_equal(after, before)
    callbacks.call("on_train_batch_begin", 1, {})
    for replica in mirrored.experimental_local_results(statistics):
        np.testing.assert_array_equal(replica[2], [7.0] * 8)  # the second to the fifth unit


@pytest.mark.slow
def test_a_thousand_layers_learn(tmp_path, data_dir):
    """Catches what only a great depth brings: recursion, memory, and a day of tracing."""
    recipe = recipes.get_recipe("digits", epochs=2, batch_size=128, learning_rate=0.02)
    options = ModelOptions(width_multiplier=0.25)
    deep = TrainConfig(
        "ResNet1001V2", "digits", "digits", recipe, options=options, data_dir=str(data_dir), rematerialize=True,
        validation_fraction=0.6,
    )  # fmt: skip
    test = train(deep, tmp_path / "run")
    first, second, _ = read_metrics(tmp_path / "run")
    assert second["loss"] < first["loss"]
    assert np.isfinite(test["loss"])
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert np.isfinite(model.predict(np.zeros((1, 8, 8, 1)), verbose=0)).all()
