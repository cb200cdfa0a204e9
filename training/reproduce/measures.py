"""What is read off a run to compare it with others. Less is better in all of them."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from .results import DIVERGED, RunResult


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number of a run.

    Attributes:
        title: what it is called.
        read: takes it from a run that did not diverge.
        format: writes it.
    """

    title: str
    read: Callable[[RunResult], float]
    format: str

    def of(self, run: RunResult) -> float:
        """The number; infinity for a run that diverged, or where it is not a number."""
        if run.status == DIVERGED:
            return math.inf
        value = self.read(run)
        return value if math.isfinite(value) else math.inf

    def text(self, value: float) -> str:
        return self.format.format(value) if math.isfinite(value) else "diverged" if value > 0 else "-inf"


def last(run: RunResult, key: str) -> float:
    return number(run.epochs[-1].get(key))


def number(value: Any) -> float:
    return math.inf if value is None else float(value)


def flow_at(run: RunResult, moment: int) -> Mapping[str, Any]:
    """What was recorded at the start (0) or after the last step (-1)."""
    return run.flow[moment]


def decades(values: list[float | None]) -> float:
    """How many powers of ten lie between the smallest and the largest of positive values."""
    found = [number(value) for value in values]
    return math.log10(max(found) / min(found)) if min(found) > 0 and math.isfinite(max(found)) else math.inf


MEASURES = {
    "train_loss": Measure("training loss of the last epoch", lambda run: last(run, "loss"), "{:.4f}"),
    "train_error": Measure("training error of the last epoch", lambda run: 100 * (1 - last(run, "accuracy")), "{:.2f} %"),
    "mean_loss": Measure(
        "training loss, mean over all epochs",
        lambda run: sum(number(epoch.get("loss")) for epoch in run.epochs) / len(run.epochs),
        "{:.3f}",
    ),
    "test_error": Measure("test error", lambda run: 100 * (1 - number((run.test or {}).get("accuracy"))), "{:.2f} %"),
}
