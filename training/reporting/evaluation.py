"""How good is a classifier, class by class: from its probabilities on a split, in NumPy alone."""

import dataclasses

import numpy as np

COLUMNS = ("class", "images", "accuracy", "precision", "most often taken for")


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Of N images: what was right, what was taken for what, and which mistakes are the worst.

    names: the classes. top1, top5: shares of the images; top5 is None below six classes. loss: mean cross-entropy in nats.
    confusion: counts, a row per true class and a column per predicted one. support, accuracy, precision: per class, how many
    images it has, the share of them that are found, and the share of right ones among those given its name; NaN where there
    is none. mistakes: indices of the wrong images, the most confident first.
    """

    names: tuple
    top1: float
    top5: float | None
    loss: float
    confusion: np.ndarray
    mistakes: np.ndarray

    @classmethod
    def of(cls, probabilities, labels, names):
        """`probabilities` (N, classes) for `labels` (N,), with a name per class."""
        predicted = probabilities.argmax(axis=1)
        own = probabilities[np.arange(len(labels)), labels]
        return cls(
            names=tuple(names),
            top1=float(np.mean(predicted == labels)),
            top5=top_k_accuracy(5, probabilities, labels) if len(names) > 5 else None,
            loss=float(-np.log(np.maximum(own, 1e-7)).mean()),
            confusion=confusion(labels, predicted, len(names)),
            mistakes=worst_mistakes(probabilities, labels, len(labels)),
        )

    @property
    def support(self):
        return self.confusion.sum(axis=1)

    @property
    def accuracy(self):
        return share(self.confusion.diagonal(), self.support)

    @property
    def precision(self):
        return share(self.confusion.diagonal(), self.confusion.sum(axis=0))

    def top_confusions(self, count):
        """The most frequent mistakes: (true class, predicted class, number of images), at most `count` of them."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(int(true), int(taken), int(wrong[true, taken])) for true, taken in pairs if wrong[true, taken]]

    def rows(self):
        """A row of text per class, in the order of the labels, for the columns `COLUMNS`."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        columns = zip(
            self.names, self.support, self.accuracy, self.precision, wrong.argmax(axis=1), wrong.max(axis=1), strict=True
        )
        return [
            (name, f"{support:,}", percent(accuracy), percent(precision), f"{self.names[other]} ({count:,})" if count else "")
            for name, support, accuracy, precision, other, count in columns
        ]


def confusion(labels, predicted, classes):
    """How many images of each true class (row) were given each name (column): int64 (classes, classes)."""
    return np.bincount(np.asarray(labels) * classes + predicted, minlength=classes**2).reshape(classes, classes)


def top_k_accuracy(count, probabilities, labels):
    """The share of images whose true class is among the `count` most probable ones."""
    best = np.argpartition(-probabilities, count - 1, axis=1)[:, :count]
    return float((best == np.asarray(labels)[:, np.newaxis]).any(axis=1).mean())


def worst_mistakes(probabilities, labels, count):
    """Indices of at most `count` wrong images, those with the most confidence in the wrong class first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]


def share(part, whole):
    """`part / whole`, NaN for nothing out of nothing."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def percent(value):
    return f"{value:.2%}" if np.isfinite(value) else "-"
