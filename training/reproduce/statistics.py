"""What a few runs with different seeds say about a difference: exact rank tests, and the intervals that belong to them."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

LEVEL = 0.05  # of a one-sided test


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How much larger the first of two samples is.

    Attributes:
        p: probability, if both were alike, of ranks at least as far on the side of the first being larger (Mann-Whitney test,
            exact, over all ways to divide the values in two).
        p_opposite: of ranks at least as far on the other side.
        superiority: how often a value of the first is larger than one of the second, ties counted half (Vargha & Delaney 2000).
        difference: median of the differences of all pairs (Hodges & Lehmann 1963); may be infinite.
        low, high: bounds of that difference, each with 95 % confidence by itself; infinite where the samples are too small.
    """

    p: float
    p_opposite: float
    superiority: float
    difference: float
    low: float
    high: float


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compares two samples by ranks; a value may be infinite, as that of a run that diverged is."""
    from scipy.stats import PermutationMethod, mannwhitneyu

    exact = PermutationMethod(n_resamples=math.inf)
    values = np.concatenate([first, second])
    if min(len(first), len(second)) < 2 or np.unique(values).size == 1:
        return Comparison(1.0, 1.0, 0.5, median(first) - median(second), -math.inf, math.inf)
    greater = mannwhitneyu(first, second, alternative="greater", method=exact)
    less = mannwhitneyu(first, second, alternative="less", method=exact)
    pairs = sorted(0.0 if x == y else x - y for x, y in itertools.product(first, second))
    outside = pairs_outside(len(first), len(second))
    low, high = (pairs[outside - 1], pairs[-outside]) if outside else (-math.inf, math.inf)
    superiority = float(greater.statistic) / len(pairs)
    return Comparison(float(greater.pvalue), float(less.pvalue), superiority, median(pairs), low, high)


def pairs_outside(first: int, second: int) -> int:
    """The rank among the sorted differences of all pairs that bounds their median with a confidence of 1 - `LEVEL`.

    first, second: sizes of the samples. Returns 0 if they are too small.
    """
    smallest = first * (first + 1) // 2
    sums = sorted(sum(ranks) - smallest for ranks in itertools.combinations(range(1, first + second + 1), first))
    allowed = int(LEVEL * len(sums) + 1e-9)
    # The most differences k for which fewer than k of them lie below 0 in at most `allowed` of all divisions.
    return max((k for k in range(first * second + 1) if sum(value < k for value in sums) <= allowed), default=0)


def median(values: Sequence[float]) -> float:
    """The median; between two infinite values of one sign it is that, where NumPy has NaN."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2
