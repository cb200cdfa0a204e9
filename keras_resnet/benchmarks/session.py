"""What runs inside a candidate's process."""

import re
import sys
from pathlib import Path

import psutil

STATUS = Path("/proc/self/status")


class Session:
    """One candidate. `worker` makes one object of a subclass and calls its methods by name; all values pass through JSON."""

    def peak_memory(self) -> float:
        return peak_memory()


def peak_memory() -> float:
    """Returns the largest resident size that this process ever had, in megabytes of 10^6 bytes.

    Linux' `ru_maxrss` starts at the parent's size if the process was made by vfork and exec; `VmHWM` does not.
    """
    if STATUS.exists() and (match := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return 1024 * int(match[1]) / 1e6
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
