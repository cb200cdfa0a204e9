"""Measures accuracy, top-k accuracy and loss of class probabilities, in NumPy."""

import numpy as np
import numpy.typing as npt


def softmax(logits: np.ndarray) -> np.ndarray:
    """The probabilities of logits, both (N, classes); NaN where a logit is NaN or infinite."""
    with np.errstate(invalid="ignore"):
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def predicted_labels(probabilities: np.ndarray) -> np.ndarray:
    """The most probable class of each image, or -1 where one of its probabilities is NaN: (N, classes) -> (N,)."""
    return np.where(np.isnan(probabilities).any(axis=1), -1, probabilities.argmax(axis=1))


def accuracy(probabilities: np.ndarray, labels: npt.ArrayLike) -> float:
    """The fraction of images whose most probable class is the true one: (N, classes), (N,) -> 0 to 1. NaN is wrong."""
    return float(np.mean(predicted_labels(probabilities) == np.asarray(labels)))


def accuracy_drop(probabilities: np.ndarray, reference: np.ndarray, labels: npt.ArrayLike) -> float:
    """How many points of accuracy `probabilities` lose against `reference`, both (N, classes). NaN is wrong."""
    return 100 * (accuracy(reference, labels) - accuracy(probabilities, labels))


def top_k_accuracy(probabilities: np.ndarray, labels: npt.ArrayLike, k: int) -> float:
    """The fraction of images whose true class is among the `k` most probable: (N, classes), (N,) -> 0 to 1."""
    k = min(k, probabilities.shape[1])
    best = np.argpartition(-probabilities, k - 1, axis=1)[:, :k]
    return float((best == np.asarray(labels)[:, np.newaxis]).any(axis=1).mean())


def cross_entropy(probabilities: np.ndarray, labels: npt.ArrayLike) -> float:
    """The mean cross-entropy in nats: (N, classes), (N,). Probabilities below 1e-7 count as 1e-7, as in Keras."""
    picked = probabilities[np.arange(len(probabilities)), np.asarray(labels)]
    return float(-np.log(np.maximum(picked, 1e-7)).mean())


def summary(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Top-1 and, from six classes up, top-5 accuracy, the cross-entropy and the number of images: (N, classes), (N,)."""
    result = {"top1": accuracy(probabilities, labels)}
    if probabilities.shape[1] > 5:
        result["top5"] = top_k_accuracy(probabilities, labels, 5)
    return {**result, "loss": cross_entropy(probabilities, labels), "images": len(labels)}
