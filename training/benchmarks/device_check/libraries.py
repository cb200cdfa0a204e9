"""Which of TensorFlow, JAX and PyTorch are there, and which GPUs each of them sees."""

import concurrent.futures
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from typing import Any

from keras_resnet.benchmarks.processes import WorkerError, WorkerProcess
from keras_resnet.benchmarks.session import Session
from keras_resnet.environment import cores

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
PROBE_SECONDS = 90.0

FIRST_GPU = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
ON_GPU = {
    "CUDA_VISIBLE_DEVICES": FIRST_GPU,
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
ON_CPU = {**ON_GPU, "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
NO_TF32 = {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}  # float32 in all its digits
SHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # while several libraries look at the GPU at once


@dataclasses.dataclass(frozen=True)
class Library:
    """One of `NAMES`.

    version: "" if it cannot be used. gpus: their names. problem: why it cannot be used, or "".
    """

    name: str
    version: str = ""
    gpus: tuple[str, ...] = ()
    problem: str = ""


class ProbeSession(Session):
    def probe(self, name: str, variables: dict[str, str]) -> dict[str, Any]:
        """Imports a library; returns its version and the GPUs that it sees."""
        os.environ.update(variables)
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return {"version": importlib.import_module(name).__version__, "gpus": GPUS[name]()}


def tensorflow_gpus() -> list[str]:
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [detail.get("device_name", "GPU") for detail in details]


def jax_gpus() -> list[str]:
    import jax  # pyright: ignore[reportMissingImports]

    return [device.device_kind for device in jax.devices() if device.platform in ("gpu", "cuda", "rocm")]


def torch_gpus() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


GPUS = {"tensorflow": tensorflow_gpus, "jax": jax_gpus, "torch": torch_gpus}


def probe(name: str) -> Library:
    """Asks one library, in a process of its own."""
    try:
        with WorkerProcess(f"{__name__}.ProbeSession", "quiet", seconds=PROBE_SECONDS) as process:
            found = process.call("probe", name=name, variables={**ON_GPU, **SHARED})
    except WorkerError as error:
        missing = "ModuleNotFoundError" in str(error) and repr(name) in str(error)
        problem = "is not installed" if missing else f"cannot be imported: {error}"
        return Library(name, problem=f"{NAMES[name]} {problem}")
    return Library(name, found["version"], tuple(found["gpus"]))


def probe_all() -> dict[str, Library]:
    """Asks all of them at once."""
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        return {library.name: library for library in pool.map(probe, NAMES)}


def keras_version() -> str:
    """The version of Keras, which is not imported for it; "" without Keras."""
    if importlib.util.find_spec("keras") is None:
        return ""
    try:
        return importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError:  # a folder without its metadata
        return "unknown"


def machine() -> dict[str, Any]:
    """The machine, in what a reader of figures asks for; `gpus` is what `nvidia-smi` says, one line per GPU."""
    import psutil

    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": sys.version.split()[0],
        "gpus": nvidia_smi(),
    }


def nvidia_smi() -> list[str]:
    """Name, memory and driver of each GPU; nothing where there is no such program, or none answers."""
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []
