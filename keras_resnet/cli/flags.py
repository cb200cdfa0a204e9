"""The flags of one command: absl's, each with what its help says."""

import dataclasses
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from absl import flags as absl_flags


@dataclasses.dataclass(frozen=True)
class FlagHelp:
    """What the help says about a flag besides its name and its default value.

    Attributes:
        group: the heading that the flag is listed under.
        text: what the flag does, in full sentences.
        valid: the range of a number in words, or the values to choose from.
        default: the default in words, where it is a rule and not a value.
        placeholder: what stands for the value, such as FILE; by default the name of its type.
        item: type of the items of a list.
    """

    group: str
    text: str
    valid: str | tuple[str, ...] = ""
    default: str = ""
    placeholder: str = ""
    item: type = str


class NumberListParser(absl_flags.BaseListParser):
    """Reads a list such as `0.5,0.75`."""

    def __init__(self, item: type) -> None:
        super().__init__(token=",", name="comma")
        self.item = item

    def parse(self, argument: str | list[Any]) -> list[Any]:
        return [self.number(text) for text in (argument if isinstance(argument, list) else super().parse(argument))]

    def number(self, text: Any) -> Any:
        try:
            return self.item(text)
        except ValueError as error:
            kind, example = ("", "0.5,0.75") if self.item is float else ("whole ", "1,2")
            raise ValueError(f"{text!r} is not a {kind}number; this is a list such as {example}") from error


PATHS = ("FILE", "FOLDER", "PATH")  # the placeholders of flags whose values may begin with ~
PLACEHOLDERS = {int: "INT", float: "FLOAT", str: "TEXT", tuple: "A,B,...", bool: ""}


class Flags:
    """The flags of one command: first defined, then parsed, then read as attributes.

    Values of lists are tuples. `--flagfile` works.
    """

    def __init__(self) -> None:
        self._values = absl_flags.FlagValues()
        self._help: dict[str, FlagHelp] = {}
        self._kinds: dict[str, type] = {}

    def define(
        self,
        name: str,
        kind: type,
        default: Any,
        help: FlagHelp,
        *,
        at_least: int | None = None,
        one_of: Sequence[str] | None = None,
    ) -> None:
        """Defines a flag.

        Args:
            name: without dashes.
            kind: bool, int, float, str, or tuple for a list.
            default: a value of that kind, or None.
            help: what the help says.
            at_least: smallest value that is accepted; the help says it.
            one_of: the only values that are accepted. Without it every text is, as with values that the library checks.
        """
        if at_least is not None and not help.valid:
            help = dataclasses.replace(help, valid=f"at least {at_least}")
        self._help[name], self._kinds[name] = help, kind
        if one_of is not None:
            absl_flags.DEFINE_enum(name, default, one_of, help.text, flag_values=self._values)
        elif kind is bool:
            absl_flags.DEFINE_bool(name, default, help.text, flag_values=self._values)
        elif kind is int:
            absl_flags.DEFINE_integer(name, default, help.text, lower_bound=at_least, flag_values=self._values)
        elif kind is float:
            absl_flags.DEFINE_float(name, default, help.text, lower_bound=at_least, flag_values=self._values)
        elif kind is str:
            absl_flags.DEFINE_string(name, default, help.text, flag_values=self._values)
        elif kind is tuple and help.item is str:
            absl_flags.DEFINE_list(name, None if default is None else list(default), help.text, flag_values=self._values)
        elif kind is tuple:
            parser, given = NumberListParser(help.item), None if default is None else list(default)
            absl_flags.DEFINE(parser, name, given, help.text, flag_values=self._values)
        else:
            raise TypeError(f"no flag is of type {kind}")

    def define_fields(
        self, cls: type, names: Iterable[str], help: Mapping[str, FlagHelp], default: Any = dataclasses.MISSING
    ) -> None:
        """Defines a flag for each of those fields of a dataclass.

        Args:
            cls: the dataclass.
            names: of its fields.
            help: what the help says about each, in the order of the help; a field that is missing there is an error.
            default: of all these flags, in place of the fields' own.
        """
        kinds = typing.get_type_hints(cls)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in sorted(names, key=list(help).index):
            own = None if fields[name].default is dataclasses.MISSING else fields[name].default
            self.define(name, plain_type(kinds[name]), own if default is dataclasses.MISSING else default, help[name])

    def parse(self, command: str, arguments: Sequence[str]) -> list[str]:
        """Sets the flags and returns the other arguments; an `absl.flags.Error` says what is wrong."""
        return self._values([command, *arguments])[1:]

    def __iter__(self) -> Iterator[str]:
        """The names, in the order in which they were defined."""
        return iter(self._help)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # not set yet, as while a copy is made
            raise AttributeError(name)
        return self.value(name)

    def value(self, name: str) -> Any:
        try:
            value = self._values[name].value
        except KeyError:
            raise AttributeError(name) from None
        if isinstance(value, str) and self._help[name].placeholder in PATHS:
            return os.path.expanduser(value)  # which a shell does not do behind the equals sign
        return tuple(value) if isinstance(value, list) else value

    def default(self, name: str) -> Any:
        return self._values[name].default

    def is_given(self, name: str) -> bool:
        """Whether the flag stands on the command line or in a flag file."""
        return bool(self._values[name].present)

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self.value(name) for name in names}

    def given(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """`{name: value}` of those that are given, in all or among `names`."""
        return {name: self.value(name) for name in (self if names is None else names) if self.is_given(name)}

    def help_of(self, name: str) -> FlagHelp:
        return self._help[name]

    def kind(self, name: str) -> type:
        return self._kinds[name]


DefineFlags = Callable[[Flags], None]


def plain_type(annotation: Any) -> type:
    """`int` for `int | None`, `tuple` for `tuple[float, ...]`, and a type for itself."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        (annotation,) = (part for part in typing.get_args(annotation) if part is not types.NoneType)
    return typing.get_origin(annotation) or annotation
