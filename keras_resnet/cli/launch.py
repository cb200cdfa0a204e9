"""`keras-resnet launch`: training in several processes on this machine."""

import dataclasses
from pathlib import Path

from keras_resnet.environment import python_module
from keras_resnet.errors import UserError

from . import train
from .command import HELP_FLAGS, Command
from .flags import FlagHelp, Flags

WORKERS = "Workers"


def define_flags(flags: Flags) -> None:
    flags.define("workers", int, None, FlagHelp(WORKERS, "How many processes to train in."), at_least=1)
    restarts = "How often all workers start again from the newest checkpoint after one of them has died."
    flags.define("max_restarts", int, 0, FlagHelp(WORKERS, restarts), at_least=0)


def launch(flags: Flags, arguments: list[str]) -> int:
    """Runs `train` in several processes on this machine that train together, and restarts them if one dies."""
    from keras_resnet.training.distribute import launcher

    name, *rest = arguments
    if name != "train":
        raise UserError(f"launch takes `train` and its flags after --, not {name!r}")
    if any(argument in HELP_FLAGS for argument in rest):
        raise UserError("launch starts no workers for the help: see keras-resnet train --help")
    given = train.COMMAND.parse(name, rest)[0]
    config = dataclasses.replace(train.make_config(given), strategy="one_device")  # the cluster does not stand yet
    train.check_before_tensorflow(config, Path(given.workdir), flags.verbosity)  # one line, not one from each worker
    if not any(argument.lstrip("-").partition("=")[0] == "strategy" for argument in arguments):
        arguments = [*arguments, "--strategy=multi_worker"]
    return launcher.launch(python_module("keras_resnet.cli", *arguments), flags.workers, flags.max_restarts)


COMMAND = Command(
    launch,
    define_flags,
    required=("workers",),
    arguments="-- train ...",
    example="keras-resnet launch --workers=2 -- train --model=ResNet20V2 --dataset=digits --workdir=runs/two",
)
