"""Whether one training step on the GPU does what it does on the CPU: logits, gradients, weights and moving statistics."""

import dataclasses
import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_resnet.benchmarks.session import Session

from ..config import LEARNING_RATE, BenchmarkConfig
from .bench import Bench, CheckFailed, Figures
from .libraries import NO_TF32

SESSION = f"{__name__}.StepSession"
OURS, MIRRORED, FIT = "tensorflow_workloads.Ours", "tensorflow_workloads.Mirrored", "workloads.Fit"
TOLERANCES = {"logits": 1e-3, "gradient": 1e-2, "weights": 1e-3}  # float32; what rounding alone does is ten times smaller


class StepSession(Session):
    def step(self, class_path: str, config: dict[str, Any], variables: dict[str, str], start: str | None, path: str) -> None:
        """Takes one step and writes what came of it to `path`. start: the file of another process, whose weights it takes."""
        os.environ.update(variables)
        module, _, name = class_path.partition(".")
        workload = getattr(importlib.import_module(f"{__package__}.{module}"), name)(BenchmarkConfig.from_record(config))
        import keras

        if variables["KERAS_BACKEND"] == "tensorflow":
            import tensorflow as tf

            tf.config.experimental.enable_tensor_float_32_execution(False)
        keras.utils.set_random_seed(0)
        workload.load_data(1)
        workload.build()
        results = start_weights(workload.variables, dict(np.load(start)) if start else None)
        results["logits"] = workload.logits(workload.images)
        workload.run()
        arrays = {"after": workload.variables, "gradient": workload.momentums}
        for kind, values in arrays.items():
            results |= {f"{kind}/{index}": to_numpy(value) for index, value in enumerate(values)}
        np.savez(path, **results)


def start_weights(variables: list[Any], given: dict[str, np.ndarray] | None) -> dict[str, np.ndarray]:
    """Assigns the weights to start from, and returns them.

    With fresh norms, two different networks can agree: they get random statistics, scales and offsets.
    """
    rng, weights = np.random.default_rng(0), {}
    for index, variable in enumerate(variables):
        key = f"before/{index}"
        if given:
            variable.assign(given[key])
        elif variable.name.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name.endswith(("beta", "moving_mean", "bias")):
            variable.assign(rng.normal(0, 0.2, variable.shape))
        weights[key] = to_numpy(variable)
    return weights


def to_numpy(variable: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable))


def compare_steps(bench: Bench, backend: str, workload: str, config: BenchmarkConfig) -> Figures:
    """Takes the step on the CPU, without XLA, and on the GPU; without a GPU again on the CPU.

    Raises:
        CheckFailed: if they differ by more than `TOLERANCES`.
    """
    on_cpu = reference(bench, backend, config)
    path = bench.folder / "step.npz"
    run_step(bench, backend, workload, config, False, on_cpu, path)
    figures: Figures = {"compared": "GPU and CPU" if bench.gpu else "CPU and CPU", **differences(on_cpu, path)}
    if wrong := [f"{name} by {figures[name]:.1e}" for name, most in TOLERANCES.items() if not figures[name] <= most]:
        raise CheckFailed(f"the step differs between {figures['compared']}: {', '.join(wrong)}", figures)
    return figures


def reference(bench: Bench, backend: str, config: BenchmarkConfig) -> Path:
    """The file of the step on the CPU, which is taken once for all checks that compare with it."""
    path = bench.folder / f"step_{backend}_{config.model}.npz"
    if not path.exists():
        workload = OURS if backend == "tensorflow" else FIT
        run_step(bench, backend, workload, dataclasses.replace(config, jit_compile=False), True, None, path)
    return path


def run_step(
    bench: Bench, backend: str, workload: str, config: BenchmarkConfig, cpu: bool, start: Path | None, path: Path
) -> None:
    variables = {**bench.variables(backend, cpu=cpu), **NO_TF32}
    with bench.process(SESSION) as process:
        process.call(
            "step",
            class_path=workload,
            config=dataclasses.asdict(config),
            variables=variables,
            start=os.fspath(start) if start else None,
            path=os.fspath(path),
        )


def differences(expected: Path, found: Path) -> Figures:
    """The relative differences between two files of `StepSession.step`.

    logits, weights: the largest of all, of a difference over the largest value of its tensor. gradient: the length of the
    difference over the length, of all gradients as one vector; SGD's first momentum is the gradient times the learning rate.
    """
    one, two = dict(np.load(expected)), dict(np.load(found))
    assert one.keys() == two.keys()

    def pairs(kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(one[key], two[key]) for key in one if key.startswith(kind)]

    def largest(kind: str) -> float:
        return max(float(np.max(np.abs(b - a)) / np.max(np.abs(a))) for a, b in pairs(kind))

    squares = [(float(np.sum((b - a) ** 2.0)), float(np.sum(a**2.0))) for a, b in pairs("gradient")]
    difference, length = map(sum, zip(*squares, strict=True))
    return {
        "logits": largest("logits"),
        "gradient": (difference / length) ** 0.5,
        "weights": largest("after"),
        "gradient_norm": length**0.5 / LEARNING_RATE,
    }
