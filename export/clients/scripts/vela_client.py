"""Vela, the compiler for Arm's Ethos-U NPUs: compiles, and says how many operators the NPU takes."""

import importlib.metadata
import re
import subprocess
import sys
import tempfile
from typing import Any

from protocol import answer


def load(artifact: dict[str, Any], size: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ethosu.vela", artifact["path"], "--accelerator-config=ethos-u55-128"]
        done = subprocess.run([*command, f"--output-dir={folder}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip())
    counts = {place: int(count) for place, count in re.findall(r"(CPU|NPU) operators = (\d+)", done.stdout)}
    return f"{counts['NPU']} of {sum(counts.values())} operators on the NPU"


answer({"ethos-u-vela": importlib.metadata.version("ethos-u-vela")}, load)
