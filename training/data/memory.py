"""How much memory is available to hold data in."""

import contextlib
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")  # version 2


def available_memory() -> int:
    """Returns the bytes that this process can still allocate: the machine's, or its container's if that is less."""
    available = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no container, or "max"
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        available = min(available, max(0, limit - used))
    return available


def format_bytes(count: float) -> str:
    """Formats a number of bytes for people, in MB or GB."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
