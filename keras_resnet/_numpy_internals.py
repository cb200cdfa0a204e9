"""Every use of NumPy's undocumented API, in one place: an upgrade breaks this file, and `tests/test_internals.py` says where.

Written for NumPy 1.26 to 2.4.
"""

import importlib


def cpu_features() -> dict[str, bool]:
    """Which instructions the CPU has, by NumPy's names: AVX2, AVX512F, AVX512VNNI, NEON, ASIMDDP and others.

    It asks the CPU itself, where `/proc/cpuinfo` under an emulator is the host's. Missing: a public function that returns what
    `numpy.show_runtime` prints. An empty dictionary, where NumPy has moved it.
    """
    for package in ("numpy._core", "numpy.core"):  # of NumPy 2 and 1
        try:
            return dict(importlib.import_module(f"{package}._multiarray_umath").__cpu_features__)
        except (ImportError, AttributeError):
            continue
    return {}
