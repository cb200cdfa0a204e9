"""The process of one contestant, as `keras_resnet.benchmarks.worker` runs it: prepared once, measured in every round."""

import gc
import importlib
import math
import os
import time

from keras_resnet import environment
from keras_resnet.benchmarks.peak_memory import peak_memory

from .config import BenchmarkConfig

SECONDS = 3.0  # that a measurement takes, where the number of steps is free
MOST_GROWTH = 10  # of the number of steps between two attempts: the first ones say little


class Session:
    def prepare(self, class_path, our_environment, variables, verbosity, config, graph):
        """Everything up to the first measurement; `seconds` from nothing built to the end of the first step."""
        os.environ.update(variables)
        if our_environment:
            environment.configure(verbosity)
        self.config = BenchmarkConfig.from_record(config)
        module, _, name = class_path.partition(".")
        candidate = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        self.candidate = candidate(self.config, graph) if graph else candidate(self.config)
        self.candidate.load(1)
        begin = time.perf_counter()
        self.candidate.build()
        self.candidate.run()
        seconds = time.perf_counter() - begin
        self.warm_up()
        return {"seconds": seconds, **self.candidate.facts()}

    def warm_up(self):
        """Runs as many steps as a measurement will have, and finds out how many where that is free."""
        fixed = 1 if self.config.task == "build" else self.config.steps
        steps = fixed or 1
        while True:
            self.candidate.load(steps)
            seconds = self.measure()["seconds"]
            if fixed or seconds > SECONDS / 2:
                return
            steps = math.ceil(steps * min(SECONDS / seconds, MOST_GROWTH))

    def measure(self):
        gc.collect()
        begin = time.perf_counter()
        self.candidate.run()
        return {"seconds": time.perf_counter() - begin, "steps": self.candidate.steps}

    def graph(self):
        return self.candidate.graph()

    def peak_memory(self):
        return peak_memory()
