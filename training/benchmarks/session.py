"""The process of one candidate, which `keras_resnet.benchmarks.worker` runs: prepared once, measured in every round."""

import gc
import importlib
import math
import os
import time
from typing import Any, TypedDict

from keras_resnet import environment
from keras_resnet.benchmarks.session import Session

from .candidates import Workload, WorkloadInfo
from .config import BenchmarkConfig

SECONDS = 3.0  # per measurement, where the number of steps is free
SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # else the first candidate's process takes all of its memory
MAX_GROWTH = 10  # of the number of steps between two attempts: the first ones say little


class StartInfo(WorkloadInfo):
    """seconds: from nothing built to the end of the first step."""

    seconds: float


class Measurement(TypedDict):
    seconds: float
    steps: int


class TrainingSession(Session):
    config: BenchmarkConfig
    workload: Workload
    seconds_per_measurement = SECONDS

    def prepare(
        self,
        class_path: str,
        our_environment: bool,
        variables: dict[str, str],
        verbosity: str,
        config: dict[str, Any],
        graph: list[Any] | None,
        folder: str | None,
    ) -> StartInfo:
        """Does everything up to the first measurement."""
        os.environ.update({**SHARED_GPU, **variables})
        if our_environment:
            environment.configure(verbosity)
        self.config = BenchmarkConfig.from_record(config)
        module, _, name = class_path.rpartition(".")
        workload = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        self.workload = workload(self.config, *(argument for argument in (graph, folder) if argument))
        self.workload.load_data(1)
        begin = time.perf_counter()
        self.workload.build()
        self.workload.run()
        seconds = time.perf_counter() - begin
        self.warm_up()
        return {**self.workload.info(), "seconds": seconds}

    def warm_up(self) -> None:
        """Runs as many steps as a measurement will have, and finds out how many where that is free."""
        if self.config.task == "start":
            return  # each run is a process of its own, as cold as the first
        fixed = 1 if self.config.task == "build" else self.config.steps
        steps = fixed or 1
        while True:
            self.workload.load_data(steps)
            seconds = self.measure()["seconds"]
            if fixed or seconds > self.seconds_per_measurement / 2:
                return
            steps = math.ceil(steps * min(self.seconds_per_measurement / seconds, MAX_GROWTH))

    def peak_memory(self) -> float:
        return getattr(getattr(self, "workload", None), "peak_memory", 0.0) or super().peak_memory()

    def measure(self) -> Measurement:
        gc.collect()
        begin = time.perf_counter()
        counted = self.workload.run()
        seconds = time.perf_counter() - begin if counted is None else counted
        return {"seconds": seconds, "steps": self.workload.steps}


class DescriptionSession(Session):
    """The process that builds the whole network for those who cannot; none that is measured has it in its memory."""

    def describe(self, verbosity: str, config: dict[str, Any]) -> list[Any]:
        """Describes the network of a `BenchmarkConfig`."""
        environment.configure(verbosity)
        from keras_resnet.benchmarks.description import describe

        from .keras_fit import zoo_network

        return describe(zoo_network(BenchmarkConfig.from_record(config)))
