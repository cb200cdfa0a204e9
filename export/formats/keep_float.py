"""Operators that stay in float when a network is quantised, as a user names them."""

import re

from keras_resnet.errors import UserError

NAMED = 5  # operators, in an error


def select_operators(operators, parts):
    """The names among `operators` that are meant by `parts`: whole names, or parts of names, such as a Keras layer's name.

    A part that ends in a number ends where the number does: unit1 is not unit10.
    """
    kept = []
    for part in parts:
        pattern = re.compile(re.escape(part) + (r"(?!\d)" if part[-1:].isdigit() else ""))
        found = [part] if part in operators else [name for name in operators if pattern.search(name)]
        if not found:
            short = [name.split(";")[0] for name in operators]
            some = ", ".join([*short[:NAMED], "..."] if len(short) > NAMED else short)
            raise UserError(f"no operator {part!r} to keep in float; the operators are {some}")
        kept += [name for name in found if name not in kept]
    return kept
