"""`keras-resnet benchmark`: speed, measured against other libraries."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from keras_resnet.benchmarks.runner import Entry
from keras_resnet.errors import UserError, comma_join
from keras_resnet.export.benchmarks.exporters import EXPORTERS
from keras_resnet.files import json_text, write_text
from keras_resnet.models.variants import VARIATIONS
from keras_resnet.remote import as_local_path
from keras_resnet.training.benchmarks.candidates import CANDIDATES, IMAGENET_IMAGES, JPEG_INPUT, JPEG_SIDE, MIN_IMAGES

from .command import Command
from .field_help import NETWORK
from .flags import FlagHelp, Flags
from .network import check_model, define_network, model_options
from .output import check_json_file, log_line, print_lines, show_table

EXPORT = "export"
MEASUREMENT, EXPORTS = "Measurement", "Only with --task=export"
COMMON = ("task", "baselines", "batch_size", "steps", "rounds", "json", "verbosity")
ONLY_EXPORT = ("output_dir", "model_path", "threads")


def define_flags(flags: Flags) -> None:
    task = (
        "What to measure, and to compare with the same in other libraries. train: this package's training step; fit: its "
        "networks under Keras' fit; input: reading and augmenting images; start: the "
        "time to the first step with as many images as ImageNet has; build: building a network; export: the latency of "
        "what `keras-resnet export` wrote."
    )
    flags.define("task", str, None, FlagHelp(MEASUREMENT, task, (*CANDIDATES, EXPORT)))
    flags.define("baselines", tuple, None, baselines_help())
    batch_size = FlagHelp(MEASUREMENT, "Images per step or inference.", default="128, for export 1")
    flags.define("batch_size", int, None, batch_size, at_least=1)
    steps = "Steps or inferences per measurement; 0 fits them to a few seconds, for export to a third of a second."
    flags.define("steps", int, 0, FlagHelp(MEASUREMENT, steps), at_least=0)
    rounds = FlagHelp(MEASUREMENT, "Measurements of each candidate, interleaved with the others'.", default="5, for export 30")
    flags.define("rounds", int, None, rounds, at_least=1)
    json_file = "Also write the measurements to this file, as JSON. It must not exist yet."
    flags.define("json", str, None, FlagHelp(MEASUREMENT, json_file, placeholder="FILE"))
    define_network(flags, "none; needed except with --task=export")
    image_size = FlagHelp(NETWORK, "Height and width of the images in pixels.", default="the network's own")
    flags.define("image_size", int, None, image_size, at_least=1)
    images = FlagHelp(MEASUREMENT, "Only with --task=start: how many images the folder has.", f"at least {MIN_IMAGES:,}")
    flags.define("images", int, IMAGENET_IMAGES, images)
    flags.define("output_dir", str, None, FlagHelp(EXPORTS, "The folder that export wrote.", placeholder="FOLDER"))
    model_path = FlagHelp(
        EXPORTS,
        "The .keras file that was exported, for exporting it with other libraries.",
        default="the one that the report in --output_dir names",
        placeholder="FILE",
    )
    flags.define("model_path", str, None, model_path)
    threads = "How many threads a runtime may use; each number is measured by itself."
    flags.define("threads", tuple, (1, 2), FlagHelp(EXPORTS, threads, "each at least 1", placeholder="1,2,...", item=int))


def baselines_help() -> FlagHelp:
    tables = {**CANDIDATES, f"input, from {JPEG_SIDE} pixels on": JPEG_INPUT}
    tasks = {task: [name for name in table if name != "ours"] for task, table in tables.items()}
    choices = "; ".join(f"{task}: {comma_join(names)}" for task, names in {**tasks, EXPORT: EXPORTERS}.items())
    return FlagHelp(
        MEASUREMENT,
        "What to compare with; for export also folders of other exports. An empty list measures this package alone.",
        choices,
        "all that fit the network, and no folder",
    )


class Result(Protocol):
    """What both kinds of benchmark return."""

    def table(self) -> tuple[Any, Any]: ...
    def notes(self) -> Any: ...
    def record(self) -> dict[str, Any]: ...
    @property
    def entries(self) -> Sequence[Entry]: ...


def benchmark(flags: Flags, arguments: list[str]) -> int:
    """Measures the speed of training, input, building or exports against Keras, PyTorch and others in one run."""
    wrong = [f"--{name}" for name in flags.given() if name not in COMMON and (name in ONLY_EXPORT) != (flags.task == EXPORT)]
    wrong += ["--images"] if flags.is_given("images") and flags.task != "start" else []
    if wrong:
        raise UserError(f"--task={flags.task} does not take {comma_join(wrong)}")
    if flags.json:
        check_json_file(Path(flags.json))
    measure: Callable[[Flags], Result] = measure_exports if flags.task == EXPORT else measure_training
    result = measure(flags)
    show_table(*result.table())
    print_lines(*result.notes())
    if flags.json:
        write_text(flags.json, f"{json_text(result.record(), indent=2)}\n")
    return 1 if flags.baselines and any(entry.failure for entry in result.entries) else 0  # of those that were asked for


def measure_training(flags: Flags) -> Result:
    from keras_resnet.training.benchmarks.config import BenchmarkConfig
    from keras_resnet.training.benchmarks.runner import benchmark as run

    if flags.task not in CANDIDATES:
        raise UserError(f"unknown --task {flags.task!r}; it is one of {comma_join((*CANDIDATES, EXPORT))}")
    if not flags.model:
        raise UserError(f"benchmark --task={flags.task} needs --model; see keras-resnet benchmark --help")
    check_model(**flags.values(("model", *VARIATIONS)))
    choices = flags.values(("task", "model", *VARIATIONS, "image_size", "images"))
    return run(BenchmarkConfig(options=model_options(flags), **choices, **measurement(flags)), flags.verbosity, log_line)


def measure_exports(flags: Flags) -> Result:
    if not flags.output_dir:
        raise UserError(f"benchmark --task={EXPORT} needs --output_dir; see keras-resnet benchmark --help")
    from keras_resnet.export.benchmarks.config import LatencyConfig
    from keras_resnet.export.benchmarks.runner import benchmark as run

    model_path = Path(flags.model_path) if flags.model_path else None
    threads = tuple(dict.fromkeys(flags.threads))
    config = LatencyConfig(as_local_path(flags.output_dir), model_path, threads, **measurement(flags))
    return run(config, flags.verbosity, log_line)


def measurement(flags: Flags) -> dict[str, Any]:
    """What both kinds have, each with defaults of its own, as far as it was given."""
    return {name: flags.value(name) for name in ("batch_size", "steps", "rounds", "baselines") if flags.value(name) is not None}


COMMAND = Command(
    benchmark,
    define_flags,
    required=("task",),
    example="keras-resnet benchmark --task=train --model=ResNet56V2 --batch_size=128",
)
