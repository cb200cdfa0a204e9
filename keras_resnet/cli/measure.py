"""Speed, against what others have."""

import json
import sys
from pathlib import Path

from keras_resnet.errors import UserError, comma_join
from keras_resnet.files import write_text

from .common import check_model, options_of, show_table

EXPORT = "export"
COMMON = ("task", "baselines", "batch_size", "steps", "rounds", "json", "verbosity", "flagfile", "undefok")
OF_EXPORTS = ("output_dir", "model_path", "threads")


def benchmark(flags, arguments):
    """Times our training, input, building or exports against those of Keras, PyTorch and others, in turns in one run."""
    given = [name for name in flags if flags[name].present and name not in COMMON]
    if wrong := [f"--{name}" for name in given if (name in OF_EXPORTS) != (flags.task == EXPORT)]:
        raise UserError(f"--task={flags.task} does not take {comma_join(wrong)}")
    if flags.json and not Path(flags.json).absolute().parent.is_dir():
        raise UserError(f"--json is {flags.json}, in a folder that is not there")
    measure = exports if flags.task == EXPORT else training
    result = measure(flags, say if sys.stderr.isatty() else lambda line: None)
    show_table(*result.table())
    print("\n".join(result.notes()))
    if flags.json:
        write_text(flags.json, json.dumps(result.record(), indent=2) + "\n")


def training(flags, say):
    from keras_resnet.training.benchmarks.candidates import CANDIDATES
    from keras_resnet.training.benchmarks.config import BenchmarkConfig
    from keras_resnet.training.benchmarks.runner import benchmark as runner

    if flags.task not in CANDIDATES:
        raise UserError(f"unknown --task {flags.task!r}; it is one of {comma_join((*CANDIDATES, EXPORT))}")
    if not flags.model:
        raise UserError(f"benchmark --task={flags.task} needs --model; see keras-resnet benchmark --help")
    check_model(flags)
    names = ("task", "model", "block", "unit", "shortcut", "image_size")
    config = BenchmarkConfig(options=options_of(flags), **{name: flags[name].value for name in names}, **numbers(flags))
    return runner(config, flags.verbosity, say)


def exports(flags, say):
    if not flags.output_dir:
        raise UserError(f"benchmark --task={EXPORT} needs --output_dir; see keras-resnet benchmark --help")
    from keras_resnet.export.benchmarks.config import LatencyConfig
    from keras_resnet.export.benchmarks.runner import benchmark as runner

    source = flags.model_path and Path(flags.model_path)
    threads = tuple(dict.fromkeys(map(whole, flags.threads)))
    return runner(LatencyConfig(Path(flags.output_dir), source, threads, **numbers(flags)), flags.verbosity, say)


def numbers(flags):
    """What both kinds have, each with defaults of its own, as far as it was given."""
    given = {name: flags[name].value for name in ("batch_size", "steps", "rounds") if flags[name].value is not None}
    return given | ({} if flags.baselines is None else {"baselines": tuple(flags.baselines)})


def whole(text):
    if not text.isdecimal():
        raise UserError(f"--threads has {text!r}; it is a list of whole numbers above 0 such as 1,2")
    return int(text)


def say(line):
    print(line, file=sys.stderr)
