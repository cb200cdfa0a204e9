"""A parallel `map` in threads: Pillow and file reads release Python's global lock."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from keras_resnet.environment import cores

T = TypeVar("T")
R = TypeVar("R")

CORES = cores()
BATCHES_AT_ONCE = min(8, CORES)  # that threads prepare at the same time; more only take memory
CHUNK = 64  # items per task; a task of its own would cost more than a small image
MAX_THREADS = 16  # more would wait for the lock


def parallel_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yields `function(item)` for each item, in order."""
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    pool = ThreadPoolExecutor(min(MAX_THREADS, CORES))
    try:
        for results in pool.map(lambda chunk: [function(item) for item in chunk], chunks):
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)
