"""Rows of tables that a user names in one word, with numbers or without: "B", "se", "exclusive_gating(-7)"."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

from keras_resnet.errors import UserError, comma_join


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A number of a row, which the function takes by this name: finite, from `minimum` up and below `limit`."""

    name: str
    default: float
    minimum: float = -math.inf
    limit: float = math.inf


@dataclasses.dataclass(frozen=True)
class Row:
    """A row: what the name stands for, where it is from, and the numbers that it takes, if it is a function."""

    value: Any
    reference: str
    parameters: tuple[Parameter, ...] = ()

    def form(self, name: str) -> str:
        """How a user writes it, with the default numbers: "dropout(0.5)"."""
        return f"{name}({','.join(f'{p.default:g}' for p in self.parameters)})" if self.parameters else name


def forms(rows: Mapping[str, Row]) -> str:
    """How a user writes each row of a table, in a sentence."""
    numbers = "; the numbers may be left out" if any(row.parameters for row in rows.values()) else ""
    return f"{comma_join(row.form(name) for name, row in rows.items())}{numbers}"


def choose(rows: Mapping[str, Row], text: str, kind: str) -> Any:
    """What a text such as "B" or "exclusive_gating(-7)" stands for; without numbers, with the default ones.

    kind: what the rows are, for messages, such as "shortcut".

    Raises:
        UserError: for an unknown name, another number of numbers, or a number out of range.
    """
    name, opened, rest = str(text).replace(" ", "").partition("(")
    valid = f"the {kind}s are {forms(rows)}"
    if name not in rows or bool(opened) != rest.endswith(")"):
        raise UserError(f"unknown {kind} {text!r}; {valid}")
    row = rows[name]
    if not row.parameters and not opened:
        return row.value
    try:
        values = [float(number) for number in rest[:-1].split(",")] if opened else [p.default for p in row.parameters]
    except ValueError:
        values = []
    if not row.parameters or len(values) != len(row.parameters) or not all(map(math.isfinite, values)):
        names = comma_join(p.name for p in row.parameters) or "no number"
        raise UserError(f"{kind} {text!r}: {name} takes {names}; {valid}")
    for p, value in zip(row.parameters, values, strict=True):
        if not p.minimum <= value < p.limit:
            raise UserError(f"{kind} {text!r}: the {p.name} is at least {p.minimum:g} and below {p.limit:g}")
    return functools.partial(row.value, **{p.name: value for p, value in zip(row.parameters, values, strict=True)})
