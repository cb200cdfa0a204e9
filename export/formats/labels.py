"""`labels.txt`: the names of the classes, one per line, in the order of the outputs."""

from collections.abc import Sequence

from keras_resnet.errors import UserError

LABELS_FILE = "labels.txt"


def labels_text(labels: Sequence[str]) -> str:
    """Returns the file's text, or raises a `UserError` for a label that is not one line of it."""
    broken = [label for label in labels if label.splitlines() != [label]]
    if broken:
        raise UserError(f"a label is {broken[0]!r}, which is not one line of {LABELS_FILE}")
    return "".join(f"{label}\n" for label in labels)
