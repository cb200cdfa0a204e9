"""`keras-resnet reproduce`: the papers' experiments, with a report that says what showed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keras_resnet.errors import UserError, comma_join
from keras_resnet.remote import as_local_path
from keras_resnet.training.reproduce.experiments import BUDGETS, EXPERIMENTS

from .command import Command
from .field_help import TRAINING_HELP
from .flags import FlagHelp, Flags
from .output import print_lines, show_table

if TYPE_CHECKING:
    from keras_resnet.training.reproduce.config import ReproduceConfig

EXPERIMENT, CHANGES, EXECUTION = "Experiment", "Changes to it", "Execution"
ALL = "all"
OUTPUT_DIR = "runs/reproduce"


def define_flags(flags: Flags) -> None:
    questions = " ".join(f"{name}: {row.question}" for name, row in EXPERIMENTS.items())
    names = FlagHelp(EXPERIMENT, f"What to reproduce. {questions} One or several.", (*EXPERIMENTS, ALL), placeholder="NAME,...")
    flags.define("experiment", tuple, None, names)
    budget = (
        "small: a few epochs on the embedded digits, at most 20 minutes each on two CPU cores; full: the papers' "
        "schedule on CIFAR, which takes GPUs and days."
    )
    flags.define("budget", str, "small", FlagHelp(EXPERIMENT, budget, BUDGETS))
    folder = "Folder of the results, in which each experiment has one of its own. What is done there already is not done again."
    flags.define("output_dir", str, OUTPUT_DIR, FlagHelp(EXPERIMENT, folder, placeholder="FOLDER"))
    dataset = FlagHelp(CHANGES, "The data set to train on, all of it.", default="the budget's", placeholder="NAME")
    flags.define("dataset", str, None, dataset)
    flags.define("data_dir", str, None, TRAINING_HELP["data_dir"])
    flags.define("epochs", int, None, FlagHelp(CHANGES, "Epochs of every run.", default="the budget's"), at_least=1)
    seeds = FlagHelp(CHANGES, "Seeds, each of which is one run of every network.", "", "the budget's", "0,1,2", item=int)
    flags.define("seeds", tuple, None, seeds)
    jobs = "How many runs at a time, each in a process of its own."
    flags.define(
        "jobs", int, None, FlagHelp(EXECUTION, jobs, default="one per CPU core, at most 8; one with a GPU"), at_least=1
    )


def reproduce(flags: Flags, arguments: list[str]) -> int:
    """Trains the networks of the papers' experiments, and reports which of their claims show."""
    names = list(dict.fromkeys(EXPERIMENTS if ALL in flags.experiment else flags.experiment))
    if unknown := [name for name in names if name not in EXPERIMENTS]:
        raise UserError(f"unknown experiment {unknown[0]!r}; the experiments are {comma_join((*EXPERIMENTS, ALL))}")
    from keras_resnet.training.reproduce.config import ReproduceConfig
    from keras_resnet.training.reproduce.reproduce import check_output_dir

    for name in ("output_dir", "dataset", "data_dir", "seeds"):
        if flags.is_given(name) and not flags.value(name):
            raise UserError(f"--{name} is empty; leave it out for its default")
    changes = flags.given(("dataset", "data_dir", "epochs", "seeds", "jobs"))
    folder = as_local_path(flags.output_dir)
    configs = [ReproduceConfig(name, flags.budget, folder / f"{name}-{flags.budget}", **changes) for name in names]
    for config in configs:  # a mistake in the fourth experiment is not to be found after the third
        config.runs()
        check_output_dir(config)
    return max(run_experiment(config, flags.verbosity) for config in configs)


def show_progress(line: str) -> None:
    """Prints a line at once, to a file too: the next one may be hours away."""
    print_lines(line)
    sys.stdout.flush()


def run_experiment(config: ReproduceConfig, verbosity: str) -> int:
    from keras_resnet.training.reproduce.reproduce import REPORT_FILE, reproduce

    print_lines(f"{config.experiment}: {config.row.question} ({config.row.reference})")
    result = reproduce(config, verbosity, show_progress)
    show_table(("claim", "outcome", "evidence"), [(v.claim, v.outcome, v.evidence) for v in result.verdicts])
    print_lines(f"the report is {config.output_dir / REPORT_FILE}")
    if result.failed:
        print_lines(
            f"{len(result.failed)} of {len(config.runs())} runs failed; the same command runs them again:", *result.failed
        )
    return 1 if result.failed else 0


COMMAND = Command(
    reproduce,
    define_flags,
    required=("experiment",),
    example="keras-resnet reproduce --experiment=degradation --budget=small",
)
