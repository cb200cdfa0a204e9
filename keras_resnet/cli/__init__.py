"""The `keras-resnet` command: the only room that knows all others, and the only one that reads flags.

A command is a file here, with its flags and its function, and a row of `COMMANDS`.
"""

import sys
from typing import NoReturn

from . import benchmark, command, evaluate, export, import_weights, launch, list_models, predict, reproduce, train, verify
from .command import Command

COMMANDS: dict[str, Command] = {
    "list": list_models.COMMAND,
    "train": train.COMMAND,
    "launch": launch.COMMAND,
    "import": import_weights.COMMAND,
    "evaluate": evaluate.COMMAND,
    "predict": predict.COMMAND,
    "export": export.COMMAND,
    "verify": verify.COMMAND,
    "benchmark": benchmark.COMMAND,
    "reproduce": reproduce.COMMAND,
}


def main() -> NoReturn:
    """Runs the console script."""
    sys.exit(command.main(COMMANDS, sys.argv[1:]))
