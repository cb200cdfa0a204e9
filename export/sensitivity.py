"""Which operators lose most by quantisation, by measurement."""

import numpy as np

MOST = 8  # operators to keep in float: what needs more than that is no matter of single layers
SHARE = 1 / 4  # of what a group gains in float, that a part of it must gain for the rest to be left out


def sensitive_layers(operators, run, reference, labels, *, max_accuracy_drop=1.0, most=MOST, images=32):
    """The operators of a network to keep in float, most costly first, until the accuracy drops by no more than allowed.

    They are found by halving; see `most_sensitive`. So each costs about 3 * log2(len(operators)) quantisations, however deep the
    network is.

    operators: names, in the order of the network. run: of a list of names to keep in float and a number of images, to the
    outputs (images, classes), dequantised. reference: those of the float network, (N, classes). labels: (N,).
    max_accuracy_drop: in points. most: operators at most; the drop may be larger then. images: as many are looked at for the
    choice, all of them for the drop.
    """
    kept, few = [], min(images, len(labels))

    def error_with(more):
        return error(run([*kept, *more], few), reference[:few])

    while accuracy_drop(run(kept, len(labels)), reference, labels) > max_accuracy_drop:
        found = most_sensitive([name for name in operators if name not in kept], error_with)
        if not found or len(kept) + len(found) > most:
            break
        kept.extend(found)
    return kept


def most_sensitive(operators, error_with):
    """The few neighbours whose quantisation costs most, often one; none where nothing is to be gained.

    Of a group that is best kept in float, that half is tried which gains most of it: the first, the middle or the last one. A
    tensor is only exact when the operator that makes it and the one that takes it are both in float, and such a pair is inside
    of one of the three; where no half gains what the group does, the group stays together.

    error_with: of operators in float, to the error of the output; errors of different operators are to add up.
    """
    before = error_with([])
    group, gain = list(operators), before - error_with(operators)
    if not gain > 0:
        return []
    while len(group) > 1:
        size = (len(group) + 1) // 2
        halves = [group[start : start + size] for start in (0, (len(group) - size) // 2, len(group) - size)]
        gains = [before - error_with(half) for half in halves]
        if max(gains) < SHARE * gain:
            break
        group, gain = halves[int(np.argmax(gains))], max(gains)
    return group


def error(outputs, reference):
    """Mean square; what is not a number, as from overflows, is as far off as it can be."""
    square = np.square(outputs.astype(np.float64) - reference)
    return float(np.mean(np.where(np.isnan(square), np.finfo(np.float32).max, square)))


def accuracy_drop(outputs, reference, labels):
    """In points. What is not a number is wrong."""
    before, after = (
        np.mean(~np.isnan(scores).any(axis=1) & (scores.argmax(axis=1) == labels)) for scores in (reference, outputs)
    )
    return 100 * float(before - after)
