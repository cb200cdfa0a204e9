"""Class weights that give every class the same influence on the loss, however many examples it has."""

import numpy as np


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns scikit-learn's "balanced" weights: N / (classes * examples of the class), so that an example's mean weight is 1.

    Args:
        labels: Integers (N,), 0 to classes - 1, with at least one of each.
        classes: Number of classes.

    Returns:
        float32 (classes,).
    """
    counts = np.bincount(labels, minlength=classes)
    assert len(counts) == classes
    assert counts.all()
    return (len(labels) / (classes * counts)).astype(np.float32)
