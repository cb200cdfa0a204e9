"""What every check is given: sizes, libraries, a folder for its files, and processes that end in time."""

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

from keras_resnet.benchmarks.processes import WorkerProcess

from ..config import BenchmarkConfig
from .libraries import ON_CPU, ON_GPU, Library
from .sizes import Sizes

QUICKLY_COMPILED = "--xla_backend_optimization_level=0"  # JAX on a CPU: half the time for a network that runs a few steps
Figures = dict[str, Any]  # what a check measured, as JSON has it


class CheckFailed(Exception):  # noqa: N818  nothing is wrong with the script
    """A check has found something wrong. figures: what it measured all the same."""

    def __init__(self, message: str, figures: Figures) -> None:
        super().__init__(message)
        self.figures = figures


@dataclasses.dataclass
class Bench:
    """Where a check runs.

    Attributes:
        sizes: of networks and images.
        libraries: by name.
        folder: for files.
        gpu: whether a library sees one.
        deadline: of the check that runs now, on the clock of `time.monotonic`.
        kept: what one check leaves for the next ones.
    """

    sizes: Sizes
    libraries: dict[str, Library]
    folder: Path
    gpu: bool
    deadline: float = float("inf")
    kept: dict[Any, Any] = dataclasses.field(default_factory=dict)

    def process(self, session: str) -> WorkerProcess:
        """A process for MODULE.CLASS that is killed when the time of this check is over."""
        left = self.deadline - time.monotonic()
        return WorkerProcess(session, "quiet", seconds=None if left == float("inf") else max(left, 0.1))

    def variables(self, backend: str, cpu: bool = False) -> dict[str, str]:
        """Environment variables for a process with this backend of Keras, on the first GPU or on the CPU."""
        on_cpu = cpu or not self.gpu
        given = ON_CPU if on_cpu else ON_GPU
        if on_cpu and backend == "jax":
            given = {**given, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {QUICKLY_COMPILED}".strip()}
        keras_home = self.folder / "keras"  # so that nobody's keras.json changes the figures
        return {**given, "KERAS_BACKEND": backend, "KERAS_HOME": os.fspath(keras_home)}

    def graph(self, config: BenchmarkConfig) -> list[Any]:
        """The description of the network for PyTorch, from a process with whatever backend is there."""
        key = ("graph", config.model)
        if key not in self.kept:
            backend = next(name for name, library in self.libraries.items() if library.version)
            with self.process(DESCRIPTION_SESSION) as process:
                record = dataclasses.asdict(config)
                self.kept[key] = process.call("describe", config=record, variables=self.variables(backend, cpu=True))
        return self.kept[key]


DESCRIPTION_SESSION = f"{__package__}.speed.DescriptionSession"
