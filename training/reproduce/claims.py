"""Claims of the papers as tests on the runs of an experiment, and what they come to.

Each kind has its `text`, the `measure` that it is about, a key of `MEASURES`, the `reference` where the paper makes it, and,
in `otherwise`, the likely reason if it does not show.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from .measures import MEASURES
from .results import RunResult
from .statistics import LEVEL, Comparison, compare, median, pairs_outside

SHOWN, NOT_SHOWN, OPPOSITE = "shown", "not shown", "opposite shown"
LEAST_RUNS = 3  # for a claim about every run
TOO_FEW = "There are too few runs: even the clearest difference would not show."
NO_RUNS = "there are no runs to compare"
Operand = str | tuple[str, str]  # an arm, or the first of two arms minus the second, seed by seed


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    Attributes:
        claim: its text.
        reference: where the paper says it.
        outcome: `SHOWN`, `NOT_SHOWN` or `OPPOSITE`.
        evidence: the numbers, in words.
        reason: why it probably did not show; "" if it did.
        numbers: the same, for programs.
    """

    claim: str
    reference: str
    outcome: str
    evidence: str
    reason: str
    numbers: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Difference:
    """A claim about how much larger the measure is in `first` than in `second`. A kind of it says what that is to be."""

    text: str
    measure: str
    first: Operand
    second: Operand
    reference: str
    otherwise: str

    @property
    def arms(self) -> tuple[str, ...]:
        return arms_of(self.first) + arms_of(self.second)

    def verdict(self, runs: Sequence[RunResult]) -> Verdict:
        first, second = (values(runs, self.measure, operand) for operand in (self.first, self.second))
        if not first or not second:
            return conclude(self, NOT_SHOWN, NO_RUNS, first, second)
        compared, measure = compare(first, second), MEASURES[self.measure]
        evidence = (
            f"{measure.title}: median {measure.text(median(first))} against {measure.text(median(second))}, difference "
            f"{interval(compared, measure.text)}{self.finding(compared)} ({len(first)} and {len(second)} runs)"
        )
        return conclude(self, self.outcome(compared), evidence, first, second, compared)

    def outcome(self, compared: Comparison) -> str:
        raise NotImplementedError

    def finding(self, compared: Comparison) -> str:
        """What the outcome rests on, after the difference in the evidence."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Larger(Difference):
    """The measure is larger in `first` than in `second`, by a rank test over the seeds."""

    def outcome(self, compared: Comparison) -> str:
        return SHOWN if compared.p <= LEVEL else OPPOSITE if compared.p_opposite <= LEVEL else NOT_SHOWN

    def finding(self, compared: Comparison) -> str:
        return f"; larger in {compared.superiority:.0%} of pairs, p = {compared.p:.3f}"


@dataclasses.dataclass(frozen=True)
class NotLarger(Difference):
    """The measure is at most `margin` larger in `first` than in `second`: the upper bound of the difference says so."""

    margin: float

    def outcome(self, compared: Comparison) -> str:
        return SHOWN if compared.high <= self.margin else OPPOSITE if compared.low > self.margin else NOT_SHOWN

    def finding(self, compared: Comparison) -> str:
        return f", to be at most {MEASURES[self.measure].text(self.margin)}"


@dataclasses.dataclass(frozen=True)
class AtMost:
    """The measure is at most `bound` in every run of the arm, `LEAST_RUNS` at least. dataset: the only one that it is about."""

    text: str
    measure: str
    arm: str
    bound: float
    reference: str
    otherwise: str
    dataset: str = ""

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.arm,)

    def verdict(self, runs: Sequence[RunResult]) -> Verdict:
        found, measure = values(runs, self.measure, self.arm), MEASURES[self.measure]
        if not found:
            return conclude(self, NOT_SHOWN, NO_RUNS, found)
        within = sum(value <= self.bound for value in found)
        outcome = SHOWN if within == len(found) else NOT_SHOWN if within else OPPOSITE
        if len(found) < LEAST_RUNS:
            outcome = NOT_SHOWN
        evidence = (
            f"{measure.title}: {measure.text(min(found))} to {measure.text(max(found))}, to be at most "
            f"{measure.text(self.bound)}; {within} of {len(found)} runs"
        )
        return conclude(self, outcome, evidence, found)


Claim = Difference | AtMost


def conclude(
    claim: Claim,
    outcome: str,
    evidence: str,
    first: Sequence[float],
    second: Sequence[float] = (),
    compared: Comparison | None = None,
) -> Verdict:
    """A verdict, with the reason that belongs to its outcome."""
    numbers = {"measure": claim.measure, "values": [list(first), list(second)]}
    numbers |= dataclasses.asdict(compared) if compared else {}
    too_few = not pairs_outside(len(first), len(second)) if compared else len(first) < LEAST_RUNS
    reason = "" if outcome == SHOWN else TOO_FEW if too_few else claim.otherwise
    return Verdict(claim.text, claim.reference, outcome, evidence, reason, numbers)


def arms_of(operand: Operand) -> tuple[str, ...]:
    return (operand,) if isinstance(operand, str) else operand


def values(runs: Sequence[RunResult], measure: str, operand: Operand) -> list[float]:
    """The measure in the runs of an arm, by seed; infinitely bad, or its difference, where a run diverged."""
    by_arm = [
        {run.seed: MEASURES[measure].of(run) for run in runs if run.arm == arm and run.finished} for arm in arms_of(operand)
    ]
    seeds = sorted(set.intersection(*map(set, by_arm)))
    if len(by_arm) == 1:
        return [by_arm[0][seed] for seed in seeds]
    first, second = by_arm
    return [0.0 if first[seed] == second[seed] else first[seed] - second[seed] for seed in seeds]


def interval(compared: Comparison, text: Callable[[float], str]) -> str:
    """A difference with its bounds."""
    bounds = (
        f"{text(compared.low)} to {text(compared.high)}"
        if math.isfinite(compared.low) or math.isfinite(compared.high)
        else "no bounds"
    )
    return f"{text(compared.difference)} ({bounds})"
