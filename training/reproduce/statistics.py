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
    values = np.array([*first, *second])
    ranks = [int(np.sum(values < value) + np.sum(values <= value)) + 1 for value in values]  # twice the mean of tied ranks
    observed, counts = sum(ranks[: len(first)]), rank_sums(ranks, len(first))
    pairs = sorted(0.0 if x == y else x - y for x, y in itertools.product(first, second))
    outside = pairs_outside(len(first), len(second))
    low, high = (pairs[outside - 1], pairs[-outside]) if outside else (-math.inf, math.inf)
    return Comparison(
        p=float(counts[observed:].sum() / counts.sum()),
        p_opposite=float(counts[: observed + 1].sum() / counts.sum()),
        superiority=(observed / 2 - smallest_sum(len(first))) / len(pairs),
        difference=median(pairs),
        low=low,
        high=high,
    )


def pairs_outside(first: int, second: int) -> int:
    """The rank among the sorted differences of all pairs that bounds their median with a confidence of 1 - `LEVEL`.

    first, second: sizes of the samples. Returns 0 if they are too small.
    """
    counts = rank_sums(range(1, first + second + 1), first)[smallest_sum(first) :]
    # The most differences k for which fewer than k of them lie below 0 in at most that share of all divisions.
    return int(np.sum(np.cumsum(counts) / counts.sum() <= LEVEL))


def rank_sums(ranks: Sequence[int], size: int) -> np.ndarray:
    """In how many ways `size` of the ranks, whole numbers, come to each sum from 0 on."""
    counts = np.zeros((size + 1, sum(sorted(ranks)[-size:]) + 1))
    counts[0, 0] = 1
    for rank in ranks:
        counts[1:, rank:] += counts[:-1, :-rank]  # with this rank, and without it
    return counts[size]


def smallest_sum(size: int) -> int:
    """Of so many ranks."""
    return size * (size + 1) // 2


def median(values: Sequence[float]) -> float:
    """The median, where NumPy has NaN: between infinite values of one sign that, between those of both 0."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else 0.0 if low == -high else (low + high) / 2
