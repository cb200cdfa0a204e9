"""What the environment says about this process and its peers, read without TensorFlow."""

import json
import os
from typing import Any, NamedTuple

from keras_resnet.errors import UserError, comma_join, first_line

from ..config import STRATEGIES

JOBS = ("chief", "worker")


class Task(NamedTuple):
    """A process's place in a cluster, from TF_CONFIG. jobs: {job: how many tasks it has}."""

    jobs: dict[str, int]
    job: str
    index: int

    @property
    def workers(self) -> int:
        return sum(self.jobs.values())

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is written once, as TensorFlow chooses it."""
        return self.index == 0 and self.job == ("chief" if "chief" in self.jobs else "worker")


def task_of_tf_config() -> Task | None:
    """The task of this process; None where TF_CONFIG is missing or has no cluster.

    Raises:
        UserError: if TF_CONFIG is not a cluster and one of its tasks.
    """
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        jobs = {job: len(tasks) for job, tasks in addresses(config.get("cluster", {})).items()}
        task = config.get("task", {})
        job, index = task.get("type"), task.get("index")
        index = None if index is None else int(index)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"TF_CONFIG is not a cluster and a task in JSON: {first_line(error)}") from error
    if not jobs:
        return None
    if others := [name for name in jobs if name not in JOBS]:
        raise UserError(f"TF_CONFIG has a job {others[0]!r}; the jobs are {comma_join(JOBS)}")
    if job not in jobs:
        raise UserError(f"TF_CONFIG has a task of type {job!r}; the cluster's jobs are {comma_join(jobs)}")
    if index is None or not 0 <= index < jobs[job]:
        raise UserError(f"TF_CONFIG has a task of index {index}; it must be at least 0 and below {jobs[job]}")
    return Task(jobs, job, index)


def addresses(cluster: Any) -> dict[str, list[Any]]:
    """{job: the addresses of its tasks}, which JSON holds as a list or by index."""
    return {job: list(tasks.values() if isinstance(tasks, dict) else tasks) for job, tasks in cluster.items()}


def is_slurm_step() -> bool:
    """Whether `srun` has started this process."""
    return "SLURM_STEP_NUM_TASKS" in os.environ


def check_strategy(name: str) -> None:
    """Raises a `UserError` for an unknown strategy, and for several workers where the environment names none, or wrongly."""
    if name not in STRATEGIES:
        raise UserError(f"unknown strategy {name!r}; the strategies are {comma_join(STRATEGIES)}")
    if name not in ("auto", "multi_worker"):
        return
    if task_of_tf_config() is None and not is_slurm_step() and name == "multi_worker":
        raise UserError("strategy multi_worker needs TF_CONFIG with a cluster, or a Slurm step (srun); found neither")


def may_be_chief(strategy: str) -> bool | None:
    """Whether this process will be the one that writes, under a strategy of that name; None where only TensorFlow tells."""
    if strategy not in ("auto", "multi_worker"):
        return None if strategy == "tpu" else True
    task = task_of_tf_config()
    if task:
        return task.is_chief or (strategy == "auto" and task.workers == 1)
    return None if is_slurm_step() else True
