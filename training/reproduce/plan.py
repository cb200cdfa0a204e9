"""What a row of the table of experiments consists of: networks, their runs for each budget, and the claims."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..config import TrainConfig
from ..recipes import get_recipe
from .claims import Claim

FIVE_SEEDS = (0, 1, 2, 3, 4)


@dataclasses.dataclass(frozen=True)
class Arm:
    """A network that an experiment trains, once per seed.

    Attributes:
        label: its name in tables and folders.
        model: a named network.
        unit, shortcut: variations of it; None for its own.
        dataset: in place of the plan's.
        overrides: of the plan's recipe.
        seeds: in place of the plan's.
    """

    label: str
    model: str
    unit: str | None = None
    shortcut: str | None = None
    dataset: str = ""
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of an experiment for one budget.

    Attributes:
        arms: what is trained.
        dataset: that the arms are trained on.
        recipe_name: how.
        overrides: of that recipe.
        seeds: of each arm.
        validation_fraction: share of the training split that is held out.
        trains: False if the runs only follow gradients and activations through a few steps.
        threads: that each run computes with, so that the same seed gives the same numbers however many runs there are at a
            time; 0 for TensorFlow's choice.
        caveat: what the runs cannot say.
    """

    arms: tuple[Arm, ...]
    dataset: str
    recipe_name: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = FIVE_SEEDS
    validation_fraction: float = 0.1
    trains: bool = True
    threads: int = 0
    caveat: str = ""

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        return arm.seeds or self.seeds

    def config(self, arm: Arm, seed: int, data_dir: str | None = None) -> TrainConfig:
        """The configuration of one run."""
        return TrainConfig(
            model=arm.model,
            unit=arm.unit,
            shortcut=arm.shortcut,
            dataset=arm.dataset or self.dataset,
            recipe_name=self.recipe_name,
            recipe=get_recipe(self.recipe_name, **{**self.overrides, **arm.overrides}),
            validation_fraction=self.validation_fraction,
            seed=seed,
            data_dir=data_dir,
            keep_checkpoints=1,
        )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A row of the table.

    Attributes:
        question: what it asks, as a sentence.
        reference: where the paper does.
        plans: the runs for each budget.
        claims: what the paper says that comes out; those whose arms a plan does not have are left out.
    """

    question: str
    reference: str
    plans: Mapping[str, Plan]
    claims: tuple[Claim, ...]
