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

# How far two devices may differ in float32, or, where that is more, `TIMES_ROUNDING` times as far as two steps on the CPU whose
# weights differ by `ROUNDING`, about as much as algorithms of convolutions do. What is far less than that in the logits is not
# so in the gradient: a share f of the ReLUs that switch moves it by the root of f.
TOLERANCES = {"logits": 1e-4, "gradient": 1e-2, "weights": 1e-4}
ROUNDING, TIMES_ROUNDING = 1e-6, 5
LARGEST = 0.5  # of any difference, however ill-conditioned the network


class StepSession(Session):
    def step(self, class_path: str, config: dict[str, Any], variables: dict[str, str], start: str | None, path: str) -> None:
        """Takes one step and writes what came of it to `path`.

        Args:
            class_path: The workload, MODULE.CLASS in this folder.
            config: A `BenchmarkConfig` as a dictionary.
            variables: Of the environment.
            start: A file that this method wrote, whose weights the step starts from. Without one the weights are made up, and
                a second step, from weights that differ by `ROUNDING`, is written beside `path`.
            path: The `.npz` file.
        """
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
        if start:
            before = dict(np.load(start))
            weights = [before[f"before/{index}"] for index in range(len(workload.variables))]
            np.savez(path, **step_from(weights, workload))
        else:
            weights = made_up_weights(workload.variables)
            np.savez(path, **step_from(weights, workload))
            np.savez(rounded(path), **step_from(list(map(perturbed, weights)), workload))


def step_from(weights: list[np.ndarray], workload: Any) -> dict[str, Any]:
    """Takes one step from these weights; returns the arrays of a file."""
    for variable, value in zip(workload.variables, weights, strict=True):
        variable.assign(value)
    logits = workload.logits(workload.images)
    for momentum in getattr(workload, "momentums", ()):  # of a step before, if the optimizer has been built
        momentum.assign(np.zeros(momentum.shape, "float32"))
    workload.run()
    arrays = {"before": weights, "after": workload.variables, "gradient": workload.momentums}
    results = {f"{kind}/{index}": to_numpy(value) for kind, values in arrays.items() for index, value in enumerate(values)}
    return {**results, "logits": logits}


def made_up_weights(variables: list[Any]) -> list[np.ndarray]:
    """The weights that the variables have, with random statistics, scales and offsets of the norms.

    With fresh ones, two different networks can agree.
    """
    rng, weights = np.random.default_rng(0), []
    for variable in variables:
        weights.append(to_numpy(variable))
        if variable.name.endswith(("gamma", "moving_variance")):
            weights[-1] = rng.uniform(0.5, 1.5, variable.shape).astype("float32")
        elif variable.name.endswith(("beta", "moving_mean", "bias")):
            weights[-1] = rng.normal(0, 0.2, variable.shape).astype("float32")
    return weights


def perturbed(weights: np.ndarray) -> np.ndarray:
    signs = np.random.default_rng(1).choice((-1.0, 1.0), weights.shape)
    return (weights * (1 + ROUNDING * signs)).astype("float32")


def rounded(path: str | Path) -> str:
    """The file of the second step, beside that of the first."""
    return os.fspath(Path(path).with_suffix(".rounded.npz"))


def to_numpy(variable: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable))


def compare_steps(bench: Bench, backend: str, workload: str, config: BenchmarkConfig) -> Figures:
    """Takes the step on the CPU, without XLA, and on the GPU; without a GPU again on the CPU.

    Raises:
        CheckFailed: if they differ by more than they may; see `TOLERANCES`.
    """
    on_cpu = reference(bench, backend, config)
    path = bench.folder / "step.npz"
    run_step(bench, backend, workload, config, False, on_cpu, path)
    rounding = differences(on_cpu, Path(rounded(on_cpu)))
    allowed = {name: min(max(most, TIMES_ROUNDING * rounding[name]), LARGEST) for name, most in TOLERANCES.items()}
    figures: Figures = {"compared": "GPU and CPU" if bench.gpu else "CPU and CPU", **differences(on_cpu, path)}
    figures |= {"rounding": rounding, "allowed": allowed}
    if wrong := [f"{name} by {figures[name]:.1e}" for name, most in allowed.items() if not figures[name] <= most]:
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
