"""How good a classifier is, class by class: from its probabilities on a split, in NumPy alone."""

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np

from keras_resnet.metrics import summary

COLUMNS = ("class", "images", "accuracy", "precision", "most often confused with")


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What a classifier got right and wrong on a split.

    Attributes:
        class_names: in the order of the labels.
        top1: share of the images whose most probable class is the true one.
        top5: share of the images whose true class is among the five most probable; None below six classes.
        loss: mean cross-entropy in nats.
        confusion: (classes, classes) counts, a row per true class and a column per predicted one.
        mistakes: indices of the misclassified images, the most confident first.
    """

    class_names: tuple[str, ...]
    top1: float
    top5: float | None
    loss: float
    confusion: np.ndarray
    mistakes: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Self:
        """Evaluates probabilities (N, classes) against labels (N,)."""
        figures = summary(probabilities, labels)
        return cls(
            class_names=tuple(class_names),
            top1=figures["top1"],
            top5=figures.get("top5"),
            loss=figures["loss"],
            confusion=confusion_matrix(labels, probabilities.argmax(axis=1), len(class_names)),
            mistakes=worst_mistakes(probabilities, labels, len(labels)),
        )

    @property
    def support(self) -> np.ndarray:
        """The number of images of each class."""
        return self.confusion.sum(axis=1)

    @property
    def accuracy(self) -> np.ndarray:
        """The share of each class's images that are classified correctly; NaN for a class without images."""
        return share(self.confusion.diagonal(), self.support)

    @property
    def precision(self) -> np.ndarray:
        """The share of correct ones among the images predicted as each class; NaN where there are none."""
        return share(self.confusion.diagonal(), self.confusion.sum(axis=0))

    def top_confusions(self, count: int) -> list[tuple[int, int, int]]:
        """The most frequent mistakes: (true class, predicted class, number of images), at most `count` of them."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(int(true), int(predicted), int(wrong[true, predicted])) for true, predicted in pairs if wrong[true, predicted]]

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """A row of text per class, in the order of the labels, for the columns `COLUMNS`."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        columns = zip(
            self.class_names, self.support, self.accuracy, self.precision, wrong.argmax(axis=1), wrong.max(axis=1), strict=True
        )
        return [
            (
                name,
                f"{support:,}",
                percent(accuracy),
                percent(precision),
                f"{self.class_names[other]} ({count:,})" if count else "",
            )
            for name, support, accuracy, precision, other, count in columns
        ]


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many images of each true class (row) are predicted as each class (column): int64 (classes, classes)."""
    return np.bincount(np.asarray(labels) * classes + predicted, minlength=classes**2).reshape(classes, classes)


def worst_mistakes(probabilities: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` misclassified images, those with the most confidence in the wrong class first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, NaN for nothing out of nothing."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def percent(value: float) -> str:
    return f"{value:.2%}" if np.isfinite(value) else "-"
