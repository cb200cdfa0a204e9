"""What is read off a run to compare it with others. Less is better in all of them."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .results import DIVERGED, RunResult
from .statistics import median


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
        return self.format.format(value) if math.isfinite(value) else "infinite" if value > 0 else "-infinite"


def last(run: RunResult, key: str) -> float:
    return number(run.epochs[-1].get(key))


def error(record: Mapping[str, Any]) -> float:
    """In %, without the rounding errors that would put 97 % of accuracy above 3 % of error."""
    return round(100 * (1 - number(record.get("accuracy"))), 9)


def number(value: Any) -> float:
    return math.inf if value is None else float(value)


def decades(values: Sequence[float | None]) -> float:
    """How many powers of ten lie between the smallest and the largest; infinite, if one is zero or not finite."""
    found = [number(value) for value in values]
    return math.log10(max(found) / min(found)) if min(found) > 0 and math.isfinite(max(found)) else math.inf


def gradient_span(run: RunResult, moment: int) -> float:
    """Over all units, of the gradient by a unit's output; moment: an index of `RunResult.flow`."""
    return decades(run.flow[moment]["gradients"]["output_gradient_rms"])


def finite_share(run: RunResult, moment: int) -> float:
    """The percentage of units by whose output the gradient is finite."""
    found = run.flow[moment]["gradients"]["output_gradient_rms"]
    return 100 * sum(value is not None for value in found) / len(found)


def largest_deviation(run: RunResult) -> float:
    """Of what a unit puts out from what entered the sum plus all branches since, as a share, at any moment."""
    return max(number(value) for moment in run.flow for value in moment["contributions"]["deviations"])


def late_share(run: RunResult) -> float:
    """The median, over the units of the deeper half, of the branch's norm as a share of the skip path's, at the end."""
    ratios = [number(ratio) for ratio in run.flow[-1]["contributions"]["ratios"]]
    return 100 * median(ratios[len(ratios) // 2 :])


MEASURES = {
    "train_loss": Measure("training loss of the last epoch", lambda run: last(run, "loss"), "{:.4f}"),
    "mean_loss": Measure(
        "training loss, mean over all epochs",
        lambda run: sum(number(epoch.get("loss")) for epoch in run.epochs) / len(run.epochs),
        "{:.3f}",
    ),
    "gradient_span": Measure(
        "powers of ten that the gradients of the units span, at the start", lambda run: gradient_span(run, 0), "{:.2f}"
    ),
    "gradient_span_trained": Measure(
        "powers of ten that the gradients of the units span, after training", lambda run: gradient_span(run, -1), "{:.2f}"
    ),
    "finite_gradients": Measure(
        "units whose gradient is a finite number, at the start", lambda run: finite_share(run, 0), "{:.0f} %"
    ),
    "sum_deviation": Measure("largest deviation from the sum", largest_deviation, "{:.1e}"),
    "late_share": Measure("branch as a share of the skip path, deeper half", late_share, "{:.1f} %"),
    "test_error": Measure("test error", lambda run: error(run.test or {}), "{:.2f} %"),
}
