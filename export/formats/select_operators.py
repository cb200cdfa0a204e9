"""Selects the operators that stay float when a network is quantized, as a user names them."""

import re
from collections.abc import Sequence

from keras_resnet.errors import UserError, comma_join

SHOWN = 5  # operators, in an error


def select_operators(operators: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Returns the names among `operators` that are meant by `patterns`: whole names, or parts such as a Keras layer's name.

    A part that ends in a number ends where the number does: unit1 does not select unit10.

    Raises:
        UserError: For a pattern that selects nothing.
    """
    selected = []
    for part in patterns:
        pattern = re.compile(re.escape(part) + (r"(?!\d)" if part[-1:].isdigit() else ""))
        found = [part] if part in operators else [name for name in operators if pattern.search(name)]
        if not found:
            examples = comma_join((name.split(";")[0] for name in operators), SHOWN)
            raise UserError(f"no operator {part!r} to keep in float; the operators are {examples}")
        selected += [name for name in found if name not in selected]
    return selected
