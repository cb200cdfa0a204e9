"""How much memory there is to hold data in."""

import contextlib
from pathlib import Path

import psutil

CONTAINER = Path("/sys/fs/cgroup")  # version 2


def available_memory():
    """Bytes that this process can still take: the machine's, or its container's where that is less."""
    available = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no container, or "max"
        limit, used = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        available = min(available, max(0, limit - used))
    return available


def format_bytes(count):
    """A number of bytes for people."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
