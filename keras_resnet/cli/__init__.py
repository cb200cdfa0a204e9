"""The `keras-resnet` command: the only place that knows all rooms, and the only one that reads flags."""

import sys

from . import artifacts as artifacts
from . import command as command_line
from . import flags as command_flags
from . import measure, training, zoo
from .command import Command

COMMANDS = {
    "list": Command(zoo.list_models, command_flags.define_nothing),
    "train": Command(training.train, command_flags.define_train, required=("workdir",)),
    "launch": Command(training.launch, command_flags.define_launch, required=("workers",), arguments="-- train ..."),
    "import": Command(zoo.import_weights, command_flags.define_import, required=("model", "weights", "output_path")),
    "evaluate": Command(artifacts.evaluate, command_flags.define_evaluate, required=("model_path",)),
    "predict": Command(artifacts.predict, command_flags.define_predict, required=("model_path",), arguments="IMAGE..."),
    "export": Command(artifacts.export, command_flags.define_export, required=("model_path", "output_dir")),
    "benchmark": Command(measure.benchmark, command_flags.define_benchmark, required=("task",)),
}


def main():
    """The console script."""
    sys.exit(command_line.main(COMMANDS, sys.argv[1:]))


if __name__ == "__main__":
    main()
