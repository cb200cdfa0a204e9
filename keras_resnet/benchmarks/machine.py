"""What a figure was measured on."""

import os
import platform


def cores():
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def machine(entries):
    """In words, after the libraries of all entries' `versions`."""
    versions = {name: version for entry in entries for name, version in entry.versions.items()}
    return ", ".join([*map(" ".join, versions.items()), platform.machine(), f"{cores()} cores"])
