"""Speed, against what others have."""

import json
import sys

from keras_resnet.commands.common import check_model, options_of, show_table
from keras_resnet.files import write_text


def benchmark(flags, arguments):
    """Times our training, input or building against stock Keras, PyTorch and others, in turns in one run."""
    check_model(flags)
    from keras_resnet.training.benchmarks.config import BenchmarkConfig
    from keras_resnet.training.benchmarks.contest import benchmark as contest

    names = ("what", "model", "block", "unit", "shortcut", "batch_size", "image_size", "steps", "rounds")
    config = BenchmarkConfig(
        options=options_of(flags),
        against=None if flags.against is None else tuple(flags.against),
        **{name: flags[name].value for name in names},
    )
    result = contest(config, flags.verbosity, say if sys.stderr.isatty() else lambda line: None)
    show_table(*result.table())
    print("\n".join(result.notes()))
    if flags.json:
        write_text(flags.json, json.dumps(result.record(), indent=2) + "\n")


def say(line):
    print(line, file=sys.stderr)
