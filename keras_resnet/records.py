"""Reads JSON that anybody may have written: bounded in size and depth, and of the types that a dataclass declares."""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.foreign_files import open_file

MAX_BYTES = 64 << 20  # the configuration of ResNet1202V1 in a `.keras` file takes 3 MB
MAX_DEPTH = 100  # of objects and lists inside of each other; a network inside a network adds about ten
MAX_DIGITS = 300  # of a whole number, which is finite as a float then
MAX_SHOWN = 60  # characters of a wrong value in a message

T = TypeVar("T")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads a JSON file. See `parse_json`."""
    with open_file(path) as file:
        text = file.read(MAX_BYTES + 1)
    try:
        return parse_json(text)
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def parse_json(text: str | bytes) -> Any:
    """Parses JSON, with NaN and infinity, which Python writes; `from_record` refuses them where they are not allowed.

    Raises:
        UserError: if it is not JSON, too large, nested too deep, has a number of too many digits, or two entries of one name.
    """
    if len(text) > MAX_BYTES:
        raise UserError(f"it has more than {MAX_BYTES >> 20} MB")
    try:
        value = json.loads(text, parse_int=parse_int, object_pairs_hook=unique)
        check_depth(value)
    except RecursionError as error:
        raise UserError(f"it is nested more than {MAX_DEPTH} deep") from error
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"it is not JSON: {first_line(error)}") from error
    return value


def parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise UserError(f"it has a number of {len(digits)} digits")
    return int(digits)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's entries; of two with one name, `json` would drop the first."""
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        raise UserError(f"it has two entries {shown(next(name for name in names if names.count(name) > 1))}")
    return record


def check_depth(value: Any) -> None:
    """Raises a `RecursionError` for what code that walks it by recursion might not come to the end of."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in inside(outer)]
        if not level:
            return
    raise RecursionError


def inside(value: Any) -> list[Any]:
    """The objects and lists directly inside a value."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return []
    return [inner for inner in value if isinstance(inner, (dict, list))]


def read_record(path: str | os.PathLike[str], kind: type[T]) -> T:
    """Reads a JSON file as a dataclass. See `from_record`."""
    record = read_json(path)
    try:
        return from_record(record, kind)
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def parse_record(text: str | bytes, kind: type[T]) -> T:
    """Parses JSON text as a dataclass. See `from_record`."""
    return from_record(parse_json(text), kind)


def from_record(record: Any, kind: type[T], ignore_unknown: bool = False) -> T:
    """Makes a dataclass of its record in JSON.

    Numbers are finite, whole ones are floats as well, `true` is not a number, and lists become tuples.

    Args:
        record: parsed JSON.
        kind: the dataclass, whose fields may be dataclasses, or `Literal`, `tuple`, `dict` and `|` of JSON's types.
        ignore_unknown: whether the record may have entries that the dataclass lacks.

    Raises:
        UserError: for an entry that is missing, unknown, or of another type, and for what the dataclass itself refuses.
    """
    return converted(record, kind, "", ignore_unknown)


def converted(value: Any, kind: Any, name: str, ignore_unknown: bool = False) -> Any:
    """The value as the type `kind`; `name` is where it is, for messages."""
    if dataclasses.is_dataclass(kind):
        return converted_record(value, kind, name, ignore_unknown)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return converted_union(value, arguments, name, ignore_unknown)
    if origin is typing.Literal and any(value == valid and type(value) is type(valid) for valid in arguments):
        return value
    if (origin or kind) is tuple and isinstance(value, (list, tuple)):
        kinds = item_kinds(arguments, len(value))
        if len(kinds) == len(value):
            pairs = zip(value, kinds, strict=True)
            return tuple(converted(item, of, f"{name}[{i}]", ignore_unknown) for i, (item, of) in enumerate(pairs))
    if (origin or kind) is dict and isinstance(value, Mapping):
        inner = arguments[1] if arguments else Any
        return {key: converted(item, inner, inner_name(name, key), ignore_unknown) for key, item in value.items()}
    if kind is Any or is_scalar(value, kind):
        return value
    wrong = "finite" if kind is float and isinstance(value, float) else f"of type {described(kind)}"
    raise UserError(f"{name or 'it'} is {shown(value)}, which is not {wrong}")


def converted_record(value: Any, kind: Any, name: str, ignore_unknown: bool) -> Any:
    """The dataclass `kind` of an object of JSON."""
    if not isinstance(value, Mapping):
        raise UserError(f"{name or 'it'} is {shown(value)}, which is not of type {described(kind)}")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = [key for key in value if key not in fields]
    if unknown and not ignore_unknown:
        names = comma_join((inner_name(name, key) for key in unknown), 3)
        raise UserError(f"it has the unknown {shortened(names)}; the fields are {comma_join(fields)}")
    missing = [key for key, field in fields.items() if key not in value and is_required(field)]
    if missing:
        raise UserError(f"it has no {comma_join((inner_name(name, key) for key in missing), 3)}")
    given = [key for key in fields if key in value]
    return kind(**{key: converted(value[key], hints[key], inner_name(name, key), ignore_unknown) for key in given})


def converted_union(value: Any, kinds: tuple[Any, ...], name: str, ignore_unknown: bool) -> Any:
    """The value as the first of the types that it is of."""
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return converted(value, kinds[0], name, ignore_unknown)
    for kind in kinds:
        try:
            return converted(value, kind, name, ignore_unknown)
        except UserError:
            continue
    raise UserError(f"{name or 'it'} is {shown(value)}, which is not of type {' or '.join(map(described, kinds))}")


def item_kinds(arguments: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    """The types of a tuple's items: those of `tuple[int, ...]` repeated."""
    if not arguments:
        return (str | float,) * length
    return arguments[:1] * length if arguments[1:] == (...,) else arguments


def is_scalar(value: Any, kind: Any) -> bool:
    """Whether a value is of one of JSON's types, and a number finite."""
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return kind in (bool, int, str) and type(value) is kind


def is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def inner_name(name: str, key: str) -> str:
    """Of an entry of a record that is itself an entry, as messages have it: "recipe: epochs"."""
    return f"{name}: {key}" if name else key


def described(kind: Any) -> str:
    """A type as messages have it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) or (origin or kind) is dict:
        return "object"
    if (origin or kind) is tuple:
        return "list" if not arguments or ... in arguments else f"list of {len(arguments)}"
    return comma_join(arguments) if origin is typing.Literal else getattr(kind, "__name__", str(kind))


def shown(value: Any) -> str:
    """A value as messages have it: containers by their type alone, since they may be large."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (Mapping, list, tuple)):
        return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)}"
    return repr(value[: MAX_SHOWN + 1]) + "..." if isinstance(value, str) and len(value) > MAX_SHOWN else repr(value)


def shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
