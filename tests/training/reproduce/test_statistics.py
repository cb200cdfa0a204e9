"""Catches a rank test that finds differences where there are none, or bounds that hold less often than they say."""

import itertools
import math

import numpy as np
import pytest

from keras_resnet.training.reproduce.statistics import LEVEL, compare, median, pairs_outside

INF = math.inf


def u_statistic(first, second):
    """How many pairs the first of two samples wins, ties counted half."""
    return sum((x > y) + (x == y) / 2 for x, y in itertools.product(first, second))


def enumerated(first, second):
    """p of both sides, over all ways to divide the values in two, pair by pair."""
    values, observed = [*first, *second], u_statistic(first, second)
    found = []
    for chosen in itertools.combinations(range(len(values)), len(first)):
        others = [value for index, value in enumerate(values) if index not in chosen]
        found.append(u_statistic([values[index] for index in chosen], others))
    return sum(u >= observed for u in found) / len(found), sum(u <= observed for u in found) / len(found)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((3.0, 1.0, 2.0), (0.5, 0.25, 2.5)),
        ((1.0, 2.0, 3.0, 4.0, 5.0), (6.0, 7.0, 8.0, 9.0, 10.0)),
        ((1.0, 1.0, 2.0, 2.0), (1.0, 2.0, 2.0, 3.0, 3.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((INF, INF, 1.0), (0.5, 1.0, 0.75)),
        ((INF, INF, INF), (INF, INF, 2.0)),
        ((INF, -INF, 0.0), (0.0, -INF, 1.0)),
        ((-3.0,), (-1.0, -2.0, -3.0)),
        ((2.0,), (1.0,)),
    ],
)
def test_p_is_that_of_all_divisions_counted_one_by_one(first, second):
    compared = compare(first, second)
    assert (compared.p, compared.p_opposite) == pytest.approx(enumerated(first, second), abs=1e-12)
    assert compared.superiority == pytest.approx(u_statistic(first, second) / (len(first) * len(second)))


def test_p_is_that_of_all_divisions_for_small_samples_of_any_values(rng):
    for _ in range(50):
        first, second = (rng.integers(0, 5, rng.integers(1, 5)).astype(float) for _ in range(2))
        compared = compare(first, second)
        assert (compared.p, compared.p_opposite) == pytest.approx(enumerated(first, second), abs=1e-12)


def test_p_is_scipys():
    mannwhitneyu = pytest.importorskip("scipy.stats").mannwhitneyu
    rng = np.random.default_rng(1)
    for sizes in ((3, 4), (5, 5), (7, 3), (10, 10)):
        first, second = (rng.normal(size=size) for size in sizes)
        expected = [mannwhitneyu(first, second, alternative=side, method="exact").pvalue for side in ("greater", "less")]
        compared = compare(first, second)
        np.testing.assert_allclose([compared.p, compared.p_opposite], expected, rtol=1e-12)


# Of the one-sided test at 0.05 (Mann & Whitney 1947; the tables of any textbook): a U of at most this.
CRITICAL_U = {
    (3, 3): 0, (3, 4): 0, (3, 5): 1, (4, 4): 1, (4, 5): 2, (5, 5): 4, (5, 6): 5, (6, 6): 7, (8, 8): 15, (10, 10): 27,
    (20, 20): 138,
}  # fmt: skip


@pytest.mark.parametrize(("sizes", "critical"), CRITICAL_U.items())
def test_the_bounds_are_at_the_critical_values_of_the_tables(sizes, critical):
    assert pairs_outside(*sizes) == pairs_outside(*reversed(sizes)) == critical + 1


def test_five_against_five_show_up_to_a_u_of_four():
    high = [5.0, 6.0, 7.0, 8.0, 9.0]
    four, five = [1.0, 2.0, 3.0, 4.0, 8.5], [1.0, 2.0, 3.0, 4.0, 10.0]
    assert u_statistic(four, high) == 4
    assert compare(high, four).p == pytest.approx(12 / 252)
    assert u_statistic(five, high) == 5
    assert compare(high, five).p == pytest.approx(19 / 252)


def test_three_against_three_show_only_what_is_apart():
    """1 in 20 is 0.05, and not a rounding error more."""
    assert compare([4, 5, 6], [1, 2, 3]).p == LEVEL
    assert compare([3, 5, 6], [1, 2, 4]).p > LEVEL


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (2, 2), (2, 4)])
def test_too_few_runs_show_nothing_however_far_apart(sizes):
    first, second = [10.0 + i for i in range(sizes[0])], [float(i) for i in range(sizes[1])]
    compared = compare(first, second)
    assert pairs_outside(*sizes) == 0
    assert compared.p > LEVEL
    assert (compared.low, compared.high) == (-INF, INF)


def test_a_difference_shows_where_its_bounds_leave_out_zero(rng):
    """The test and the interval belong together: without equal values, one says what the other does."""
    seen = set()
    for _ in range(300):
        sizes = rng.integers(2, 7, 2)
        first, second = rng.normal(rng.choice([0, 1, 2]), 1, sizes[0]), rng.normal(0, 1, sizes[1])
        compared = compare(first, second)
        assert (compared.p <= LEVEL) == (compared.low > 0)
        assert (compared.p_opposite <= LEVEL) == (compared.high < 0)
        seen.add((compared.p <= LEVEL, compared.p_opposite <= LEVEL))
    assert seen == {(True, False), (False, True), (False, False)}


def test_swapping_the_samples_turns_everything_round(rng):
    first, second = rng.normal(0, 1, 5), rng.normal(1, 1, 4)
    one, other = compare(first, second), compare(second, first)
    assert (one.p, one.p_opposite) == pytest.approx((other.p_opposite, other.p))
    assert one.superiority == pytest.approx(1 - other.superiority)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))


@pytest.mark.parametrize("sizes", [(5, 5), (3, 3), (5, 3)])
def test_each_bound_holds_as_often_as_it_says(sizes, rng):
    """In 95 of 100 samples or a little more, as the probabilities of ranks come in steps."""
    times, shift = 2000, 0.7
    compared = [compare(rng.normal(shift, 1, sizes[0]), rng.normal(0, 1, sizes[1])) for _ in range(times)]
    for held in (sum(c.low <= shift for c in compared), sum(shift <= c.high for c in compared)):
        assert 0.935 < held / times < 0.985


def test_the_test_rejects_as_seldom_as_it_says(rng):
    times = 2000
    ties = [compare(rng.integers(0, 3, 5), rng.integers(0, 3, 5)).p <= LEVEL for _ in range(times)]
    none = [compare(rng.normal(size=5), rng.normal(size=5)).p <= LEVEL for _ in range(times)]
    assert 0.03 < np.mean(none) < 0.065
    assert np.mean(ties) < 0.065


def test_equal_runs_differ_by_nothing():
    """Test errors come in steps of one image: two networks without a mistake are equal, and this is known for sure."""
    compared = compare([0.0] * 5, [0.0] * 5)
    assert (compared.p, compared.p_opposite, compared.superiority) == (1, 1, 0.5)
    assert (compared.difference, compared.low, compared.high) == (0, 0, 0)


def test_runs_that_diverged_are_worse_than_all_others_and_equal_to_each_other():
    compared = compare([INF] * 3, [9.0, 8.0, 7.0])
    assert compared.p == LEVEL
    assert (compared.difference, compared.low, compared.high) == (INF, INF, INF)
    compared = compare([INF] * 3, [INF] * 3)
    assert (compared.p, compared.difference, compared.low, compared.high) == (1, 0, 0, 0)
    compared = compare([INF, 2.0, 1.0], [0.5, 0.25, 0.0])
    assert compared.difference == pytest.approx(1.75)
    assert compared.high == INF


def test_a_hundred_seeds_take_no_longer_than_one_waits():
    """There are 1e59 ways to divide them: whoever counts them one by one loses all that was trained."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 1, 60), rng.normal(0, 1, 60)
    compared = compare(first, second)
    mean, deviation = 60 * 60 / 2, math.sqrt(60 * 60 * 121 / 12)
    normal = 0.5 * math.erfc((u_statistic(first, second) - 0.5 - mean) / deviation / math.sqrt(2))
    assert compared.p == pytest.approx(normal, rel=0.1)
    assert compared.low < compared.difference < compared.high


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], 2), ([4, 1, 2, 3], 2.5), ([7], 7), ([INF, 1, INF], INF), ([INF, INF], INF), ([1, INF], INF),
        ([-INF, INF], 0), ([-INF, -INF, 1, 2], -INF), ([-INF, 0, INF], 0),
    ],
)  # fmt: skip
def test_the_median_is_never_nan(values, expected):
    assert median(values) == expected
