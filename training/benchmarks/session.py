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
    def prepare(self, home, our_environment, variables, verbosity, config, graph):
        """Everything up to the first measurement; `seconds` from nothing built to the end of the first step."""
        os.environ.update(variables)
        if our_environment:
            environment.prepare(verbosity)
        self.config = BenchmarkConfig.from_record(config)
        module, _, name = home.partition(".")
        contestant = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        self.contestant = contestant(self.config, graph) if graph else contestant(self.config)
        self.contestant.load(1)
        begin = time.perf_counter()
        self.contestant.build()
        self.contestant.run()
        seconds = time.perf_counter() - begin
        self.warm_up()
        return {"seconds": seconds, **self.contestant.facts()}

    def warm_up(self):
        """Runs as many steps as a measurement will have, and finds out how many where that is free."""
        fixed = 1 if self.config.what == "build" else self.config.steps
        steps = fixed or 1
        while True:
            self.contestant.load(steps)
            seconds = self.measure()["seconds"]
            if fixed or seconds > SECONDS / 2:
                return
            steps = math.ceil(steps * min(SECONDS / seconds, MOST_GROWTH))

    def measure(self):
        gc.collect()
        begin = time.perf_counter()
        self.contestant.run()
        return {"seconds": time.perf_counter() - begin, "steps": self.contestant.steps}

    def graph(self):
        return self.contestant.graph()

    def peak_memory(self):
        return peak_memory()
