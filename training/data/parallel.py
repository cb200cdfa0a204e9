"""The same done to many things at once, in threads: Pillow and reading files let go of Python's lock."""

import os
from concurrent.futures import ThreadPoolExecutor

CORES = os.cpu_count() or 1
CHUNK = 64  # a task for each single thing would cost more than a small picture
MOST = 16  # more would wait for the lock


def parallel_map(function, things):
    """Yields `function(thing)` for each, in order. `things`: a list or a range."""
    chunks = [things[start : start + CHUNK] for start in range(0, len(things), CHUNK)]
    pool = ThreadPoolExecutor(min(MOST, CORES))
    try:
        for results in pool.map(lambda chunk: [function(thing) for thing in chunk], chunks):
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)
