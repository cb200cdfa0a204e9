"""Results of runs that nobody trained, for tests that know what is to come out."""

import dataclasses
import math

from keras_resnet.training.reproduce.claims import Larger
from keras_resnet.training.reproduce.config import ReproduceConfig
from keras_resnet.training.reproduce.experiments import EXPERIMENTS
from keras_resnet.training.reproduce.plan import Arm, Experiment, Plan
from keras_resnet.training.reproduce.reproduction import Reproduction
from keras_resnet.training.reproduce.results import DIVERGED, DONE, FAILED, RunResult

MESSAGE = "the loss is nan at step 3"


def result(arm, seed, value, status=DONE):
    """A run with `value` % test error and a last loss of `value`; infinite for one that diverged, None for one that failed."""
    config = {"model": "ResNet20V2"}
    if value is None:
        return RunResult(arm, seed, config, FAILED, "killed by SIGKILL")
    if not math.isfinite(value):
        epochs = ({"epoch": 1, "loss": 2.5, "accuracy": 0.2, "val_accuracy": 0.1},)
        return RunResult(arm, seed, config, DIVERGED, MESSAGE, 2.0, epochs)
    epochs = tuple({"epoch": epoch, "loss": value + 1 / epoch - 0.5, "accuracy": 0.9, "val_accuracy": 0.8} for epoch in (1, 2))
    return RunResult(arm, seed, config, status, "", 61.0, epochs, {"accuracy": 1 - value / 100, "loss": value, "images": 100})


def results(**arms):
    """Runs of some arms with the values of `result`, of the seeds from 0 on."""
    return [result(arm, seed, value) for arm, values in arms.items() for seed, value in enumerate(values)]


def experiment(*labels, claims=(), seeds=(0, 1, 2), **plan):
    """One of small networks on the digits, one epoch each."""
    arms = tuple(Arm(label, "ResNet20V2") for label in labels)
    plans = {"small": Plan(arms, "digits", "digits", {"epochs": 1}, seeds, **plan)}
    return Experiment("Is one better than the other?", "this test", plans, tuple(claims))


def larger(first, second, measure="test_error", **given):
    claim = Larger(f"{first} is larger than {second}.", measure, first, second, "Figure 1", "It may be too short.")
    return dataclasses.replace(claim, **given)


def reproduction(monkeypatch, folder, row, found, failed=()):
    """What `reproduce` would have come to with these results."""
    monkeypatch.setitem(EXPERIMENTS, "made_up", row)
    return Reproduction.of(ReproduceConfig("made_up", "small", folder), found, failed)
