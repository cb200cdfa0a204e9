"""How fast a network is trained: images per second, seconds to the first step, memory."""

import dataclasses
import os
import statistics
from typing import Any

from ..candidates import Candidate
from ..config import BenchmarkConfig
from ..runner import prepare_session
from ..session import TrainingSession
from .bench import Bench, CheckFailed, Figures

SESSION = f"{__name__}.SpeedSession"
OURS = Candidate("keras_resnet", "device_check.tensorflow_workloads.Ours")
FIT = Candidate("keras_resnet, fit", "device_check.workloads.Fit", our_environment=False)
PYTORCH = Candidate("PyTorch", "pytorch.ManyImages", our_environment=False, needs_graph=True)


class SpeedSession(TrainingSession):
    seconds_per_measurement = 1.0

    def gpu_memory(self, library: str) -> float | None:
        """The most memory that this process's library had on the GPU, in megabytes of 10^6 bytes; None without a GPU."""
        peak = PEAKS[library]()
        return None if peak is None else peak / 1e6


class DescriptionSession(TrainingSession):
    """Describes a network for PyTorch's process, with any backend of Keras."""

    def describe(self, config: dict[str, Any], variables: dict[str, str]) -> list[Any]:
        os.environ.update(variables)
        from keras_resnet.benchmarks.description import describe

        from ..keras_fit import zoo_network

        return describe(zoo_network(BenchmarkConfig.from_record(config)))


def tensorflow_peak() -> int | None:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def jax_peak() -> int | None:
    import jax  # pyright: ignore[reportMissingImports]

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def torch_peak() -> int | None:
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None


PEAKS = {"tensorflow": tensorflow_peak, "jax": jax_peak, "torch": torch_peak}


def measure(bench: Bench, candidate: Candidate, backend: str, config: BenchmarkConfig) -> Figures:
    """Trains for some measurements; `backend`: Keras', which PyTorch's process does not have."""
    library = "torch" if candidate.needs_graph else backend
    candidate = dataclasses.replace(candidate, variables={**candidate.variables, **bench.variables(backend)})
    graph = bench.graph(config) if candidate.needs_graph else None
    with bench.process(SESSION) as process:
        start = prepare_session(process, candidate, dataclasses.asdict(config), graph)
        measured = [process.call("measure") for _ in range(config.rounds)]
        memory, gpu_memory = process.call("peak_memory"), process.call("gpu_memory", library=library)
    rates = [config.batch_size * one["steps"] / one["seconds"] for one in measured]
    figures = {
        "images_per_second": statistics.median(rates),
        "measurements": rates,
        "steps_per_measurement": measured[0]["steps"],
        "batch_size": config.batch_size,
        "first_step_seconds": start["seconds"],
        "gpu_memory_mb": gpu_memory,
        "memory_mb": memory,
        "versions": start.get("versions", {}),
    }
    if bench.gpu and not gpu_memory:
        raise CheckFailed("nothing of it ran on the GPU", figures)
    return figures
