"""Finds the operators that lose most by quantization, by measurement."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_resnet.metrics import accuracy, accuracy_drop, predicted_labels

MAX_OPERATORS = 8  # to keep in float: what needs more than that is not a matter of single layers
MAX_TRIALS = 5  # of operators in float, to explain a quantization
MIN_SHARE = 1 / 4  # of what a group gains in float, that a part of it must gain for the rest to be left out


def sensitive_layers(
    operators: Sequence[str],
    run: Callable[[Sequence[str], int], np.ndarray],
    reference: np.ndarray,
    labels: np.ndarray,
    *,
    max_accuracy_drop: float = 1.0,
    max_operators: int = MAX_OPERATORS,
    images: int = 32,
) -> list[str]:
    """Returns the operators to keep in float, the most sensitive first, until the accuracy drops by no more than allowed.

    They are found by halving, see `most_sensitive`. So each costs about 3 * log2(len(operators)) quantizations, however deep
    the network is.

    Args:
        operators: Their names, in the order of the network.
        run: From a list of names to keep in float and a number of images to the outputs (images, classes), dequantized.
        reference: The outputs of the float network, (N, classes).
        labels: The true classes, (N,).
        max_accuracy_drop: In points.
        max_operators: That may be kept; the drop may be larger then.
        images: As many are looked at for the choice, all of them for the drop.
    """
    kept, few = [], min(images, len(labels))

    def error_with(more: Sequence[str]) -> float:
        return error(run([*kept, *more], few), reference[:few])

    while accuracy_drop(run(kept, len(labels)), reference, labels) > max_accuracy_drop:
        found = most_sensitive([name for name in operators if name not in kept], error_with)
        if not found or len(kept) + len(found) > max_operators:
            break
        kept.extend(found)
    return kept


def most_sensitive(operators: Sequence[str], error_with: Callable[[Sequence[str]], float]) -> list[str]:
    """Returns the few neighbors whose quantization costs most, often one; none where nothing is to be gained.

    A group that is best kept in float is replaced by that half of it which gains most: the first, the middle or the last one.
    A tensor is only exact when the operator that computes it and the one that reads it are both in float, and such a pair is
    inside one of the three; where no half gains what the group does, the group stays together.

    Args:
        operators: Their names, in the order of the network.
        error_with: From operators in float to the error of the output; errors of different operators must add up.
    """
    before = error_with([])
    group, gain = list(operators), before - error_with(operators)
    if not gain > 0:
        return []
    while len(group) > 1:
        size = (len(group) + 1) // 2
        halves = [group[start : start + size] for start in (0, (len(group) - size) // 2, len(group) - size)]
        gains = [before - error_with(half) for half in halves]
        if max(gains) < MIN_SHARE * gain:
            break
        group, gain = halves[int(np.argmax(gains))], max(gains)
    return group


def error(outputs: np.ndarray, reference: np.ndarray) -> float:
    """Computes the mean square; NaN, as from overflows, counts as the largest possible error."""
    square = np.square(outputs.astype(np.float64) - reference)
    return float(np.mean(np.where(np.isnan(square), np.finfo(np.float32).max, square)))


@dataclasses.dataclass(frozen=True)
class OperatorNoise:
    """What the quantization of an operator costs.

    Attributes:
        operator: Its name.
        decibels: The signal-to-noise ratio, see `Quantizer.signal_to_noise`.
        agreement: The share of images with the float network's prediction if this operator is kept in float as well; None
            where that was not tried.
        accuracy: The share of images that are right then, likewise.
    """

    operator: str
    decibels: float
    agreement: float | None = None
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What quantization costs, and where.

    Attributes:
        images: How many it was measured on.
        float_accuracy: The share of them that the float network gets right.
        agreement: The share with the float network's prediction.
        accuracy: The share that the quantized network gets right.
        operators: The noise of each, the worst first.
    """

    images: int
    float_accuracy: float
    agreement: float
    accuracy: float
    operators: tuple[OperatorNoise, ...]


def explain(
    noise: Mapping[str, float],
    run: Callable[[Sequence[str]], np.ndarray],
    reference: np.ndarray,
    labels: np.ndarray,
    kept: Sequence[str] = (),
) -> Explanation:
    """Measures what it would bring to keep each of the `MAX_TRIALS` noisiest operators in float, one at a time.

    Args:
        noise: Decibels by operator.
        run: From the operators to keep in float to the outputs, (N, classes).
        reference: The outputs of the float network, (N, classes).
        labels: The true classes, (N,).
        kept: Operators that stay float anyway.
    """
    same = predicted_labels(reference)
    outputs, found = run(kept), []
    for operator in sorted(noise, key=lambda name: noise[name]):
        trial = run([*kept, operator]) if len(found) < MAX_TRIALS else None
        gain = (None, None) if trial is None else (accuracy(trial, same), accuracy(trial, labels))
        found.append(OperatorNoise(operator, noise[operator], *gain))
    shares = accuracy(reference, labels), accuracy(outputs, same), accuracy(outputs, labels)
    return Explanation(len(labels), *shares, tuple(found))
