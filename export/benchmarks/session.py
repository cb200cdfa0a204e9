"""The process of one artifact: loaded once, and then so many inferences in every turn."""

import gc
import math
import time

import psutil

from keras_resnet.benchmarks.peak_memory import peak_memory

from .runners import RUNNERS

SECONDS = 0.3  # that a turn takes, where the number of inferences is free
FEWEST, MOST = 3, 1000  # inferences in a turn


class Session:
    def prepare(self, format, path, threads, batch_size, steps):
        """Loads and warms up. load_seconds: from the file to the first answer. idle_memory: megabytes before that."""
        self._runner = RUNNERS[format](threads)
        idle = psutil.Process().memory_info().rss / 1e6
        begin = time.perf_counter()
        self._runner.load(path, batch_size)
        self._runner.run()
        seconds = time.perf_counter() - begin
        self._inferences = steps or self._fitting()
        return {"load_seconds": seconds, "idle_memory": idle, "versions": self._runner.versions}

    def measure(self):
        """Seconds of each inference of a turn, from an array to an array; one before them brings the caches back."""
        gc.collect()
        self._runner.run()
        return [self._timed() for _ in range(self._inferences)]

    def peak_memory(self):
        return peak_memory()

    def _fitting(self):
        """The number of inferences that fill a turn, after a turn's time of warming up."""
        begin, latencies = time.perf_counter(), []
        while len(latencies) < FEWEST or time.perf_counter() - begin < SECONDS:
            latencies.append(self._timed())
        return min(max(math.ceil(SECONDS / sorted(latencies)[len(latencies) // 2]), FEWEST), MOST)

    def _timed(self):
        begin = time.perf_counter()
        self._runner.run()
        return time.perf_counter() - begin
