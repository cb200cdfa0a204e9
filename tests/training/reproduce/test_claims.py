"""Catches a claim that is called shown where its runs say something else, and numbers that do not reach the reader."""

import json
import math

import pytest
from made_up import experiment, larger, reproduction, result, results

from keras_resnet.files import json_text
from keras_resnet.training.reproduce.claims import (
    NO_RUNS,
    NOT_SHOWN,
    OPPOSITE,
    SHOWN,
    TOO_FEW,
    AtMost,
    NotLarger,
    values,
)
from keras_resnet.training.reproduce.measures import MEASURES
from keras_resnet.training.reproduce.results import RunResult

INF = math.inf
LOW, HIGH, MIXED = (1.0, 2.0, 3.0, 4.0, 5.0), (6.0, 7.0, 8.0, 9.0, 10.0), (0.5, 9.5, 2.5, 7.5, 3.5)


def not_larger(margin):
    return NotLarger("a is not larger.", "test_error", "a", "b", "Table 6", "It may be too short.", margin=margin)


def at_most(bound):
    return AtMost("a is small.", "test_error", "a", bound, "Table 3", "It may be too short.")


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (HIGH, LOW, SHOWN),
        (LOW, HIGH, OPPOSITE),
        (MIXED, LOW, NOT_SHOWN),
        (LOW, LOW, NOT_SHOWN),
        ((INF,) * 5, HIGH, SHOWN),
        (HIGH, (INF,) * 5, OPPOSITE),
        ((INF,) * 5, (INF,) * 5, NOT_SHOWN),
        ((INF, INF, INF, 1.0, 1.0), HIGH, NOT_SHOWN),
        ((4.0, 5.0, 6.0), (1.0, 2.0, 3.0), SHOWN),
    ],
)
def test_larger_is_shown_only_by_runs_that_are(first, second, outcome):
    verdict = larger("a", "b").verdict(results(a=first, b=second))
    assert verdict.outcome == outcome
    assert verdict.reason == ("" if outcome == SHOWN else "It may be too short.")


@pytest.mark.parametrize(
    ("first", "second", "margin", "outcome"),
    [
        (LOW, LOW, 3.0, SHOWN),
        (LOW, LOW, 1.0, NOT_SHOWN),
        (LOW, HIGH, 0.0, SHOWN),
        (HIGH, LOW, 1.0, OPPOSITE),
        ((0.0,) * 5, (0.0,) * 5, 0.0, SHOWN),
        ((INF,) * 5, LOW, 1.0, OPPOSITE),
        (LOW, (INF,) * 5, 1.0, SHOWN),
        ((1.0, 1.0, 1.0, 1.0, INF), (1.0,) * 5, 1.0, NOT_SHOWN),
    ],
)
def test_not_larger_needs_the_whole_bound_below_the_margin(first, second, margin, outcome):
    """No difference that was found is not the same as one that is known to be small."""
    assert not_larger(margin).verdict(results(a=first, b=second)).outcome == outcome


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (LOW, SHOWN),
        ((1.0, 1.0, 5.0), SHOWN),
        ((1.0, 1.0, 5.1), NOT_SHOWN),
        ((1.0, 1.0, INF), NOT_SHOWN),
        ((6.0, 6.0, INF), OPPOSITE),
        ((1.0, 1.0), NOT_SHOWN),
        ((6.0,), NOT_SHOWN),
    ],
)
def test_at_most_is_shown_by_all_runs_and_not_by_most(found, outcome):
    assert at_most(5.0).verdict(results(a=found)).outcome == outcome


def test_a_difference_of_two_networks_is_taken_seed_by_seed():
    runs = results(a=(5.0, 6.0, 7.0), b=(1.0, 1.0, 5.0), c=(1.0, 2.0, 3.0), d=(1.0, 2.0, 3.0))
    verdict = larger(("a", "b"), ("c", "d")).verdict(runs)
    assert verdict.numbers["values"][0] == pytest.approx([4, 5, 2])
    assert verdict.numbers["values"][1] == [0, 0, 0]
    assert verdict.outcome == SHOWN
    assert larger(("a", "b"), ("c", "d")).arms == ("a", "b", "c", "d")


def test_a_run_that_failed_or_a_seed_that_is_missing_is_left_out_of_both_sides_of_a_difference():
    runs = results(a=(1.0, 2.0, 3.0, None), b=(5.0, None, 7.0, 8.0))
    assert values(runs, "test_error", "a") == pytest.approx([1, 2, 3])
    assert values(runs, "test_error", ("a", "b")) == pytest.approx([-4, -4])
    assert values(runs[1:], "test_error", ("a", "b")) == pytest.approx([-4])


def test_a_run_that_diverged_is_the_worst_in_either_side_of_a_difference():
    runs = results(a=(INF, 1.0, INF, 2.0), b=(1.0, INF, INF, 1.0))
    assert values(runs, "test_error", ("a", "b")) == pytest.approx([INF, -INF, 0, 1])


def test_runs_come_in_the_order_of_their_seeds_whatever_order_they_ended_in():
    runs = results(a=LOW)
    assert values(runs[::-1], "test_error", "a") == values(runs, "test_error", "a")


@pytest.mark.parametrize("claim", [larger("a", "b"), larger(("a", "b"), "a"), not_larger(1.0), at_most(5.0)])
def test_a_claim_without_runs_is_not_shown_and_no_crash(claim):
    """What is left after failures may be no run of a network, or runs of two that have no seed in common."""
    for runs in ([], [result("a", 0, None), result("b", 0, None)], [result("b", 0, 1.0)]):
        verdict = claim.verdict(runs)
        assert (verdict.outcome, verdict.evidence, verdict.reason) == (NOT_SHOWN, NO_RUNS, TOO_FEW)
    apart = [result("a", 0, 1.0), result("b", 1, 1.0), result("c", 0, 1.0)]
    assert larger(("a", "b"), "c").verdict(apart).evidence == NO_RUNS


def test_too_few_runs_are_the_reason_and_not_what_the_table_guesses():
    verdict = larger("a", "b").verdict(results(a=(9.0, 8.0), b=(1.0, 2.0)))
    assert (verdict.outcome, verdict.reason) == (NOT_SHOWN, TOO_FEW)
    assert "no bounds" in verdict.evidence
    assert larger("a", "b").verdict(results(a=(9.0, 1.0, 8.0), b=(1.0, 2.0, 3.0))).reason == "It may be too short."


def test_the_evidence_has_the_numbers():
    text = larger("a", "b").verdict(results(a=HIGH, b=LOW)).evidence
    assert text.startswith("test error: median 8.00 % against 3.00 %, difference 5.00 % (3.00 % to 7.00 %)")
    assert "larger in 100% of pairs, p = 0.004 (5 and 5 runs)" in text
    text = not_larger(3.0).verdict(results(a=LOW, b=LOW)).evidence
    assert text.startswith("test error: median 3.00 % against 3.00 %, difference 0.00 % (-2.00 % to 2.00 %)")
    assert "to be at most 3.00 % (5 and 5 runs)" in text
    text = at_most(3.5).verdict(results(a=LOW)).evidence
    assert text == "test error: 1.00 % to 5.00 %, to be at most 3.50 %; 3 of 5 runs"


def test_the_evidence_says_what_diverged_and_never_nan():
    for first, second in (
        ((INF,) * 3, LOW),
        ((INF,) * 3, (INF,) * 3),
        (LOW, (INF, 1.0, 2.0)),
        ((INF,), (INF,)),
        ((1.0,), (INF,)),
    ):
        runs = results(a=first, b=second)
        for claim in (larger("a", "b"), larger(("a", "b"), "b"), not_larger(1.0), at_most(1.0)):
            assert "nan" not in claim.verdict(runs).evidence
    assert "infinite" in larger("a", "b").verdict(results(a=(INF,) * 3, b=LOW)).evidence


def test_a_verdict_is_json_with_the_values_it_rests_on():
    verdict = larger("a", "b").verdict(results(a=HIGH, b=(*LOW[:4], INF)))
    numbers = json.loads(json_text(verdict.numbers))
    assert numbers["values"] == [[*HIGH], [*LOW[:4], None]]
    assert {"measure", "p", "p_opposite", "superiority", "difference", "low", "high"} <= numbers.keys()


def test_every_claim_of_the_plan_has_a_verdict(monkeypatch, tmp_path):
    row = experiment("a", "b", claims=(larger("a", "b"), larger("b", "absent"), at_most(3.0)))
    found = reproduction(monkeypatch, tmp_path, row, results(a=LOW))
    assert [verdict.claim for verdict in found.verdicts] == ["a is larger than b.", "a is small."]
    assert [verdict.outcome for verdict in found.verdicts] == [NOT_SHOWN, NOT_SHOWN]


def test_an_error_at_the_bound_is_within_it():
    """100 * (1 - 0.97) is a little more than 3 in floating point."""
    assert at_most(3.0).verdict(results(a=(3.0, 3.0, 3.0))).outcome == SHOWN


def test_the_measures_read_what_they_are_called():
    run = result("a", 0, 5.0)
    assert MEASURES["train_loss"].of(run) == pytest.approx(5.0)
    assert MEASURES["mean_loss"].of(run) == pytest.approx(5.25)
    assert MEASURES["test_error"].of(run) == pytest.approx(5.0)


def test_every_measure_of_a_run_that_diverged_is_infinite_and_so_is_what_json_could_not_hold():
    diverged = result("a", 0, INF)
    assert {measure.of(diverged) for measure in MEASURES.values()} == {INF}
    null = RunResult("a", 0, {}, "done", epochs=({"epoch": 1, "loss": None, "accuracy": 0.1},), test={"accuracy": None})
    assert {MEASURES[key].of(null) for key in ("train_loss", "mean_loss", "test_error")} == {INF}


def moment(gradients, ratios=(0.5, 0.5), deviations=(0.0,)):
    return {"gradients": {"output_gradient_rms": gradients}, "contributions": {"ratios": ratios, "deviations": deviations}}


def test_the_measures_of_gradients_know_the_start_from_the_end():
    run = RunResult(
        "a", 0, {}, "done", flow=(moment([1e-3, 1.0, 10.0]), moment([1.0, 1.0], (5.0, 5.0, 0.1, 0.2, 0.3), (1e-7, 1e-6)))
    )
    assert MEASURES["gradient_span"].of(run) == pytest.approx(4)
    assert MEASURES["gradient_span_trained"].of(run) == 0
    assert MEASURES["sum_deviation"].of(run) == 1e-6
    assert MEASURES["late_share"].of(run) == pytest.approx(20)
    assert MEASURES["finite_gradients"].of(run) == 100
    lost = RunResult("a", 0, {}, "done", flow=(moment([None, None, None, 1.0]), moment([1.0] * 4)))
    assert MEASURES["finite_gradients"].of(lost) == 25
    for gradients in ([0.0, 1.0], [None, 1.0], [INF, 1.0]):
        assert MEASURES["gradient_span"].of(RunResult("a", 0, {}, "done", flow=(moment(gradients),))) == INF
