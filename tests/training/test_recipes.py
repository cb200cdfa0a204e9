"""Catches a recipe that does not train as its reference says, and an override that is not checked."""

import dataclasses

import numpy as np
import pytest

from keras_resnet import UserError
from keras_resnet.training import recipes
from keras_resnet.training.optim.schedules import learning_rate_schedule

COSINE = recipes.get_recipe("digits", warmup=0.1, learning_rate=0.4)
STEP = recipes.get_recipe("he2015_cifar")


def rates(recipe, steps, at):
    schedule = learning_rate_schedule(recipe, steps)
    return [float(schedule(np.int64(step))) for step in at]


def test_cosine_rises_in_a_line_and_falls_to_zero():
    np.testing.assert_allclose(rates(COSINE, 1000, (0, 50, 100, 550, 1000)), (0, 0.2, 0.4, 0.2, 0), atol=1e-6)


def test_cosine_without_warm_up_starts_at_the_peak():
    np.testing.assert_allclose(rates(dataclasses.replace(COSINE, warmup=0), 100, (0, 50, 100)), (0.4, 0.2, 0), atol=1e-6)


def test_step_divides_by_ten_at_32k_and_48k_of_64k_steps():
    steps = (0, 31_999, 32_000, 47_999, 48_000, 63_999)
    np.testing.assert_allclose(rates(STEP, 64_000, steps), (0.1, 0.1, 0.01, 0.01, 0.001, 0.001), rtol=1e-5)


def test_step_warms_up_at_a_tenth():
    recipe = dataclasses.replace(STEP, warmup=400 / 64_000)
    np.testing.assert_allclose(rates(recipe, 64_000, (0, 399, 400)), (0.01, 0.01, 0.1), rtol=1e-5)


def test_the_papers_recipe_is_the_papers():
    assert (STEP.batch_size, STEP.momentum, STEP.nesterov, STEP.weight_decay) == (128, 0.9, False, 1e-4)
    assert (STEP.weight_decay_mode, STEP.crop_padding, STEP.flip) == ("coupled", 4, True)
    assert round(STEP.epochs * 45_000 / 128, -3) == 64_000


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"schedule": "linear"}, "unknown schedule 'linear'; it must be one of cosine, step"),
        ({"weight_decay_mode": "l2"}, "unknown weight_decay_mode 'l2'; it must be one of decoupled, coupled"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"crop_padding": -1}, "crop_padding is -1"),
        ({"momentum": 1.0}, "momentum is 1.0; it must be at least 0 and below 1"),
        ({"milestones": (0.5, 2.0)}, "milestones are 0.5, 2.0; each must be at least 0 and below 1"),
        ({"freeze": ("stem", "stage9")}, "freeze names stage9; the parts of a network are stem, stage1"),
        ({"norm_layers": "off"}, "unknown norm_layers 'off'; it must be one of with_parts, frozen, trained"),
        ({"layer_decay": 0.0}, "layer_decay is 0.0; it must be above 0 and at most 1"),
        ({"optimizer": "adamw", "weight_decay_mode": "coupled"}, "coupled weight decay is for the optimizer sgd only"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps is 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"schedule": "step", "milestones": (0.7, 0.5)}, "milestones are 0.7, 0.5; they must increase"),
        ({"schedule": "step", "milestones": (0.2, 0.9), "warmup": 0.5}, r"come after the warmup of 0\.5"),
    ],
)
def test_a_wrong_override_is_refused(overrides, message):
    with pytest.raises(UserError, match=message):
        recipes.get_recipe("digits", **overrides)


def test_an_unknown_recipe_is_refused_with_the_table():
    with pytest.raises(
        UserError,
        match=f"^unknown recipe 'x'; the recipes are {', '.join(recipes.RECIPES)}$",
    ):
        recipes.get_recipe("x")


def test_a_field_that_a_recipe_does_not_have_is_refused_with_those_that_it_has():
    with pytest.raises(UserError, match=r"^a recipe has no ema; its fields are .*ema_momentum"):
        recipes.get_recipe("short", ema=0.9)
