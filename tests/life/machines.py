"""Stands in for processes, disks and systems that a test cannot have: ended ones, those that were killed, and Windows."""

import os
import subprocess
import sys
from pathlib import Path

from keras_resnet import files


def ended_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def leftover(path: Path, state: str, process: int, host: str | None = None) -> Path:
    """What a process that was killed has left of a folder or file at `path`, with "old" in it."""
    name = files.hidden_name(path, state).name
    other = path.with_name(name.replace(f"{files.host()}-{os.getpid()}", f"{host or files.host()}-{process}"))
    if path.suffix:
        other.write_text("old")
    else:
        other.mkdir()
        (other / "old").touch()
    return other
