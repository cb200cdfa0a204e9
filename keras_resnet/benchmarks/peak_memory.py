"""The most memory that this process ever had."""

import re
import sys
from pathlib import Path

import psutil

STATUS = Path("/proc/self/status")


def peak_memory():
    """In megabytes of 10^6 bytes, resident.

    Linux' `ru_maxrss` begins at what the parent had, where the process was made by vfork and exec; `VmHWM` does not.
    """
    if STATUS.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]) / 1e6
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
