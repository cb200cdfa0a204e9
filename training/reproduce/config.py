"""What `reproduce` is asked for."""

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

import psutil

from keras_resnet.environment import cores
from keras_resnet.errors import MAX_COUNT, UserError, check_at_most, check_count, comma_join

from ..config import TrainConfig
from ..distribute.launcher import visible_gpus
from .claims import Claim
from .experiments import BUDGETS, EXPERIMENTS
from .plan import Arm, Experiment, Plan

MAX_SEEDS, MAX_JOBS = 100, 1024
MOST_JOBS, GIGABYTES_PER_JOB = 8, 2  # unless more are asked for


class PlannedRun(NamedTuple):
    """arm: what it trains. config: how. workdir: where."""

    arm: Arm
    config: TrainConfig
    workdir: Path


@dataclasses.dataclass(frozen=True)
class ReproduceConfig:
    """An experiment, and how much of it to run.

    Attributes:
        experiment: a row of `EXPERIMENTS`.
        budget: "small", some minutes on two CPU cores, or "full", the papers' schedule.
        output_dir: folder of the experiment: its runs, and its report.
        dataset: in place of the plan's; None for that.
        data_dir: where the data set is.
        epochs: in place of the plan's; 0 for that.
        seeds: in place of the plan's; empty for those.
        jobs: runs at a time, each in a process of its own; 0 for one per CPU core, as far as `MOST_JOBS` and the memory
            allow, or for one where there is a GPU.
    """

    experiment: str
    budget: str
    output_dir: Path
    dataset: str | None = None
    data_dir: str | None = None
    epochs: int = 0
    seeds: tuple[int, ...] = ()
    jobs: int = 0

    def __post_init__(self) -> None:
        for field, valid in (("experiment", tuple(EXPERIMENTS)), ("budget", BUDGETS)):
            if getattr(self, field) not in valid:
                raise UserError(f"unknown {field} {getattr(self, field)!r}; it must be one of {comma_join(valid)}")
        check_count("seeds", self.seeds, MAX_SEEDS)
        if wrong := [seed for seed in self.seeds if not 0 <= seed < 2**31]:
            raise UserError(f"seeds have {wrong[0]}; each must be at least 0 and below 2**31")
        if len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds are {comma_join(self.seeds)}; each must be given once: the same seed is the same run")
        for field, most in (("epochs", MAX_COUNT), ("jobs", MAX_JOBS)):
            if getattr(self, field) < 0:
                raise UserError(f"{field} is {getattr(self, field)}; it must be at least 0")
            check_at_most(field, getattr(self, field), most)

    @property
    def row(self) -> Experiment:
        return EXPERIMENTS[self.experiment]

    @property
    def plan(self) -> Plan:
        """The plan of the budget, with what was asked for in place of its own."""
        plan = self.row.plans[self.budget]
        arms = plan.arms
        if self.dataset:
            arms = tuple(arm for arm in arms if arm.dataset in ("", self.dataset))  # others are named after theirs
        if self.seeds:
            arms = tuple(dataclasses.replace(arm, seeds=self.seeds) for arm in arms)
        if self.epochs:
            arms = tuple(dataclasses.replace(arm, overrides={**arm.overrides, "epochs": self.epochs}) for arm in arms)
        return dataclasses.replace(plan, arms=arms, dataset=self.dataset or plan.dataset)

    @property
    def claims(self) -> list[Claim]:
        """Those that the plan's arms can show, on its data set."""
        plan = self.plan
        labels, datasets = {arm.label for arm in plan.arms}, ("", plan.dataset)
        return [
            claim for claim in self.row.claims if labels.issuperset(claim.arms) and getattr(claim, "dataset", "") in datasets
        ]

    def runs(self) -> list[PlannedRun]:
        """All runs, arm by arm and seed by seed."""
        return [self.run(arm, seed) for arm in self.plan.arms for seed in self.plan.seeds_of(arm)]

    def earlier_runs(self) -> list[PlannedRun]:
        """Runs of these arms from other seeds whose results are in the folder: no seed that was run is left out."""
        planned = {run.workdir for run in self.runs()}
        found = []
        for arm in self.plan.arms:
            name = f"{slug(arm.label)}_seed"
            seeds = sorted(int(number[1]) for path in self.runs_dir.glob("*.json") if (number := seed_in(path.name, name)))
            found += [self.run(arm, seed) for seed in seeds]
        return [run for run in found if run.workdir not in planned]

    def run(self, arm: Arm, seed: int) -> PlannedRun:
        return PlannedRun(arm, self.plan.config(arm, seed, self.data_dir), self.runs_dir / f"{slug(arm.label)}_seed{seed}")

    @property
    def runs_dir(self) -> Path:
        return self.output_dir / "runs"


def slug(label: str) -> str:
    """A label as the name of a folder on every system."""
    return "".join(character if character.isalnum() or character in ".-" else "_" for character in label).strip("_")


def seed_in(file: str, start: str) -> re.Match[str] | None:
    """Matches the name of a result's file that begins so; the first group is its seed."""
    return re.fullmatch(rf"{re.escape(start)}(\d{{1,10}})\.json", file)


def runs_at_a_time(jobs: int, runs: int) -> int:
    """How many of the runs to do at a time. jobs: see `ReproduceConfig`."""
    if jobs == 0:
        fit = int(psutil.virtual_memory().available / GIGABYTES_PER_JOB / 1e9)
        jobs = 1 if visible_gpus() else min(cores(), MOST_JOBS, fit)
    return max(min(jobs, runs), 1)
