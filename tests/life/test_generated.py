"""Catches an input from elsewhere that ends in a traceback, a hang, a second line, a loss, or without a word where one was due.

`python -m pytest tests/life/test_generated.py --generated=1000` tries so many over all entries; `--generated_seed` others.
"""

import sys

import pytest
from life import entries, harness

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="makes pipes, sockets and names that Windows does not have"),
]


@pytest.fixture(scope="module")
def worker(run, exported, data_dir):
    worker = harness.Worker("life.entries", entries.paths(run, exported, data_dir))
    yield worker
    worker.close()


@pytest.mark.parametrize("name", entries.ENTRIES)
def test_made_up_input_is_used_rightly_or_refused_in_one_line(name, worker, request):
    count = -(-request.config.getoption("--generated") // len(entries.ENTRIES))
    first = request.config.getoption("--generated_seed")
    faults = {seed: fault for seed in range(first, first + count) if (fault := worker.run(name, seed))}
    assert not faults, "\n".join(f"{name}, seed {seed}: {fault}" for seed, fault in faults.items())
