"""The table of checks, the most important first: one row each, with the time that it takes."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from ...config import PRECISIONS
from . import nccl, resume, speed, step
from .bench import Bench, Figures
from .libraries import NAMES
from .sizes import NETWORKS

RESNET50, RESNET56 = NETWORKS
FLOAT32, BFLOAT16, FLOAT16 = PRECISIONS


@dataclasses.dataclass(frozen=True)
class Check:
    """One row.

    Args:
        key: For the record, and to be asked for.
        title: For the table of results.
        run: Does it; raises a `CheckFailed` or a `WorkerError` if something is wrong.
        needs: The libraries without which it is left out, keys of `NAMES`.
        seconds: About how long it takes on a GPU; with less time left it is not begun.
        small_seconds: The same with small sizes, on two cores.
        needs_gpu: Whether it says nothing on a CPU.
        stand_in: Whether it shows what TensorFlow's rows show, with another library: last where TensorFlow is there.
    """

    key: str
    title: str
    run: Callable[[Bench], Figures]
    needs: tuple[str, ...] = ("tensorflow",)
    seconds: float = 30
    small_seconds: float = 15
    needs_gpu: bool = False
    stand_in: bool = False

    def expected_seconds(self, bench: Bench) -> float:
        return self.small_seconds if bench.sizes.name == "small" else self.seconds


def step_check(network: str, backend: str = "tensorflow", jit_compile: bool = False, mirrored: bool = False) -> Check:
    """One step on the GPU against the CPU."""
    ours = backend == "tensorflow"
    workload = step.MIRRORED if mirrored else step.OURS if ours else step.FIT
    ways = [way for way, used in (("mirrored", mirrored), ("jit_compile", jit_compile)) if used]
    library = NAMES[backend] if ours else f"{NAMES[backend]}, forward, gradient and fit"

    def run(bench: Bench) -> Figures:
        return step.compare_steps(bench, backend, workload, bench.sizes.compared(network, jit_compile))

    return Check(
        key="_".join(["step", backend, network, *ways]),
        title=f"step, GPU = CPU: {', '.join([network, library, *ways])}",
        run=run,
        needs=(backend,),
        seconds=60 if jit_compile or backend == "jax" else 40,
        small_seconds=30 if jit_compile or not ours else 15,
        stand_in=not ours,
    )


def speed_check(
    network: str, precision: str, jit_compile: bool, library: str, candidate: speed.Candidate, stand_in: bool = False
) -> Check:
    """Training with synthetic images. library: the key of what runs it."""
    backend = "tensorflow" if library == "pytorch" else library

    def run(bench: Bench) -> Figures:
        return speed.measure(bench, candidate, backend, bench.sizes.config(network, precision, jit_compile))

    compiled = {"pytorch": "torch.compile", "torch": "torch.compile"}.get(library, "jit_compile")
    name = f"{candidate.title}, {NAMES[library]}" if stand_in else candidate.title
    return Check(
        key="_".join(["train", library, network, precision, *(["jit_compile"] if jit_compile else [])]),
        title=f"train {network}, {precision}{f', {compiled}' if jit_compile else ''}: {name}",
        run=run,
        needs=("torch",) if library == "pytorch" else (library,),
        seconds=60 if jit_compile or library == "jax" else 25,
        small_seconds=90 if jit_compile and library == "pytorch" else 40 if jit_compile or library == "jax" else 12,
        stand_in=stand_in,
    )


def speed_checks(network: str, precision: str, jit_compile: bool) -> Iterator[Check]:
    """The rows that are compared with each other: those of `fit` once, as JAX compiles by itself and PyTorch hardly gains."""
    yield speed_check(network, precision, jit_compile, "tensorflow", speed.OURS)
    yield speed_check(network, precision, jit_compile, "pytorch", speed.PYTORCH)
    if not jit_compile:
        yield speed_check(network, precision, jit_compile, "jax", speed.FIT, stand_in=True)
        yield speed_check(network, precision, jit_compile, "torch", speed.FIT, stand_in=True)


# fmt: off
CHECKS = (
    step_check(RESNET50),
    step_check(RESNET56, jit_compile=True),
    step_check(RESNET56, mirrored=True),
    Check("nccl", "NCCL sums over one GPU", nccl.reduce_with_nccl, seconds=15, needs_gpu=True),
    Check("resume", "resume is exact with --deterministic: ResNet20V2", resume.resume_exactly, seconds=70, small_seconds=20),
    step_check(RESNET50, "jax"),
    step_check(RESNET50, "torch"),
    *speed_checks(RESNET50, BFLOAT16, False),
    *speed_checks(RESNET56, BFLOAT16, False),
    *speed_checks(RESNET50, FLOAT32, False),
    *speed_checks(RESNET50, BFLOAT16, True),
    *speed_checks(RESNET50, FLOAT16, False),
    *speed_checks(RESNET56, BFLOAT16, True),
    *speed_checks(RESNET56, FLOAT32, False),
    *speed_checks(RESNET56, FLOAT16, False),
    step_check(RESNET50, jit_compile=True),
    step_check(RESNET56),
    step_check(RESNET56, "jax"),
    step_check(RESNET56, "torch"),
    *speed_checks(RESNET56, FLOAT16, True),
    *speed_checks(RESNET50, FLOAT32, True),
    *speed_checks(RESNET50, FLOAT16, True),
    *speed_checks(RESNET56, FLOAT32, True),
)
# fmt: on


def in_order(checks: Iterable[Check], bench: Bench) -> list[Check]:
    """The rows in the order in which they run."""
    return sorted(checks, key=lambda check: check.stand_in and bool(bench.libraries["tensorflow"].version))


def reason_to_leave_out(check: Check, bench: Bench) -> str:
    """Why a row cannot run here; "" if it can."""
    for name in check.needs:
        library = bench.libraries[name]
        if library.problem:
            return library.problem
        if bench.gpu and not library.gpus:
            return f"{NAMES[name]} sees no GPU"
    return "there is no GPU" if check.needs_gpu and not bench.gpu else ""
