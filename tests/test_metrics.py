"""Catches an accuracy, a top-k accuracy or a loss that is not the one of the images."""

import math

import keras
import numpy as np
import pytest

from keras_resnet.metrics import accuracy, accuracy_drop, cross_entropy, summary, top_k_accuracy

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.3, 0.4, 0.3], [0.2, 0.5, 0.3]], "float32")
LABELS = np.array([0, 1, 2, 0])


def test_accuracy_is_not_the_fraction_of_right_answers():
    assert accuracy(PROBABILITIES, LABELS) == 0.25
    assert accuracy(PROBABILITIES, PROBABILITIES.argmax(axis=1)) == 1.0


def test_the_drop_in_accuracy_is_in_points_and_nan_is_wrong():
    """Catches a sign, a fraction, and an artifact that overflows and is taken for right."""
    best = np.eye(3, dtype="float32")[LABELS]
    assert accuracy_drop(PROBABILITIES, best, LABELS) == 75.0
    assert accuracy_drop(best, PROBABILITIES, LABELS) == -75.0
    assert accuracy_drop(np.full_like(best, np.nan), best, LABELS) == 100.0


@pytest.mark.parametrize("classes", [3, 5, 6])
def test_top_5_is_of_six_classes_and_more(classes, rng):
    probabilities, labels = rng.dirichlet(np.ones(classes), 20), rng.integers(0, classes, 20)
    found = summary(probabilities, labels)
    assert ("top5" in found) == (classes == 6)
    assert (found["top1"], found["images"]) == (accuracy(probabilities, labels), 20)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.25), (2, 0.5), (3, 1.0)])
def test_top_k_counts_other_classes_than_the_k_most_probable(k, expected):
    labels = np.array([0, 1, 0, 0])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    assert top_k_accuracy(probabilities, labels, k) == expected


def test_top_1_differs_from_accuracy(rng):
    probabilities, labels = rng.dirichlet(np.ones(10), 200), rng.integers(0, 10, 200)
    assert top_k_accuracy(probabilities, labels, 1) == accuracy(probabilities, labels)


def test_a_tie_counts_for_none_or_all_of_its_classes():
    """One class is predicted, even where several are equally probable."""
    tie = np.full((3, 3), 1 / 3)
    assert accuracy(tie, np.array([0, 1, 2])) == pytest.approx(1 / 3)
    assert top_k_accuracy(tie, np.array([0, 1, 2]), 1) == pytest.approx(1 / 3)
    assert top_k_accuracy(tie, np.array([0, 1, 2]), 2) == pytest.approx(2 / 3)


@pytest.mark.parametrize("k", [3, 4, 5, 100])
def test_more_classes_than_there_are_fail_or_miss_one(k):
    assert top_k_accuracy(PROBABILITIES, LABELS, k) == 1.0


def test_cross_entropy_is_not_in_nats():
    assert cross_entropy(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0])) == pytest.approx(1.5 * math.log(2))


def test_cross_entropy_is_another_than_keras_or_infinite_where_a_probability_is_zero():
    probabilities, labels = np.array([[1.0, 0.0], [0.4, 0.6]], "float32"), np.array([1, 0])
    expected = np.mean(keras.losses.sparse_categorical_crossentropy(labels, probabilities))
    assert cross_entropy(probabilities, labels) == pytest.approx(float(expected), rel=1e-5)
    assert cross_entropy(probabilities, labels) == pytest.approx((-math.log(1e-7) - math.log(0.4)) / 2, rel=1e-6)


def test_labels_in_a_list_are_refused():
    assert accuracy(PROBABILITIES, [0, 1, 2, 0]) == 0.25
    assert top_k_accuracy(PROBABILITIES, [0, 1, 2, 0], 3) == 1.0
    assert cross_entropy(PROBABILITIES, [0, 1, 2, 0]) == cross_entropy(PROBABILITIES, LABELS)
