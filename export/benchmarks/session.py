"""The process of one artifact: loaded once, then a number of inferences in every round."""

import gc
import math
import time
from typing import TypedDict

import psutil

from keras_resnet.benchmarks.session import Session

from .runtimes import Runtime, runtime_of

SECONDS = 0.3  # per round, where the number of inferences is free
MIN_RUNS, MAX_RUNS = 3, 1000  # inferences in a round


class LoadInfo(TypedDict):
    """load_seconds: from the file to the first answer. idle_memory: megabytes before that."""

    load_seconds: float
    idle_memory: float
    versions: dict[str, str]


class LatencySession(Session):
    _runtime: Runtime

    def prepare(self, format: str, path: str, threads: int, batch_size: int, runs: int) -> LoadInfo:
        """Loads and warms up. runs: inferences in a round; 0 fits them to `SECONDS`."""
        self._runtime = runtime_of(format)(threads)
        idle_memory = psutil.Process().memory_info().rss / 1e6
        begin = time.perf_counter()
        self._runtime.load(path, batch_size)
        self._runtime.run()
        seconds = time.perf_counter() - begin
        self._runs = runs or self._fitted_runs()
        return {"load_seconds": seconds, "idle_memory": idle_memory, "versions": self._runtime.versions}

    def measure(self) -> list[float]:
        """Returns the seconds of each inference of a round, from array to array; one before them warms the caches."""
        gc.collect()
        self._runtime.run()
        return [self._timed() for _ in range(self._runs)]

    def _fitted_runs(self) -> int:
        """Returns the number of inferences that fill a round, after a round's time of warming up."""
        begin, latencies = time.perf_counter(), []
        while len(latencies) < MIN_RUNS or time.perf_counter() - begin < SECONDS:
            latencies.append(self._timed())
        return min(max(math.ceil(SECONDS / sorted(latencies)[len(latencies) // 2]), MIN_RUNS), MAX_RUNS)

    def _timed(self) -> float:
        begin = time.perf_counter()
        self._runtime.run()
        return time.perf_counter() - begin
