"""Weights that let every class count alike, however many examples it has."""

import numpy as np


def class_weights(labels, classes):
    """float32 (classes,): N / (classes * count of the class), so that the mean weight of an example is 1.

    labels: (N,), 0 to classes - 1, with at least one of each. scikit-learn's "balanced".
    """
    counts = np.bincount(labels, minlength=classes)
    assert len(counts) == classes
    assert counts.all()
    return (len(labels) / (classes * counts)).astype(np.float32)
