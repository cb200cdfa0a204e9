"""The flags of one command: absl's, each with what its help says."""

import dataclasses
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from absl import flags as absl_flags

from keras_resnet.errors import MAX_COUNT, UserError, check_at_most, check_count

from .flagfile import expand_flagfiles


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


class IntParser(absl_flags.IntegerParser):
    """Reads a whole number from `least` on; a `UserError` says how large it may be."""

    def __init__(self, name: str, least: int | None) -> None:
        super().__init__()
        self.name, self.least = name, least

    def parse(self, argument: str | int) -> int:
        value = parse_int(argument, self.name)
        if self.least is not None and value < self.least:
            raise UserError(f"--{self.name} is {value}; it must be at least {self.least}")
        check_at_most(f"--{self.name}", value, MAX_COUNT)
        return value


class NumberListParser(absl_flags.BaseListParser):
    """Reads a list such as `0.5,0.75`."""

    def __init__(self, name: str, item: type) -> None:
        super().__init__(token=",", name="comma")
        self.flag, self.item = name, item

    def parse(self, argument: str | list[Any]) -> list[Any]:
        values = argument if isinstance(argument, list) else super().parse(argument)
        return [self.number(text) for text in values]

    def number(self, text: Any) -> Any:
        if self.item is int and isinstance(text, str) and text.strip().isdigit():
            value = parse_int(text, self.flag)
            check_at_most(f"--{self.flag}", value, MAX_COUNT)
            return value
        try:
            return self.item(text)
        except ValueError as error:
            kind, example = ("", "0.5,0.75") if self.item is float else ("whole ", "1,2")
            raise ValueError(f"{text!r} is not a {kind}number; this is a list such as {example}") from error


def parse_int(text: str | int, name: str) -> int:
    """Reads a whole number, or raises a `UserError` that says what is wrong with it."""
    if isinstance(text, str) and len(text) > MAX_DIGITS:
        raise UserError(f"--{name} has {len(text):,} characters; it is a whole number of at most {MAX_COUNT}")
    try:
        return int(text)
    except ValueError as error:
        raise UserError(f"--{name} is {text!r}, which is not a whole number") from error


MAX_DIGITS = 50  # that Python is asked to read as a number
MAX_VALUES = 1000  # of a list
MAX_NAME = 100  # characters of a flag's name
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
            absl_flags.DEFINE(IntParser(name, at_least), name, default, help.text, flag_values=self._values)
        elif kind is float:
            absl_flags.DEFINE_float(name, default, help.text, lower_bound=at_least, flag_values=self._values)
        elif kind is str:
            absl_flags.DEFINE_string(name, default, help.text, flag_values=self._values)
        elif kind is tuple and help.item is str:
            absl_flags.DEFINE_list(name, None if default is None else list(default), help.text, flag_values=self._values)
        elif kind is tuple:
            parser, given = NumberListParser(name, help.item), None if default is None else list(default)
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

    def parse(self, command: str, arguments: Sequence[str], interspersed: bool = False) -> list[str]:
        """Sets the flags and returns the other arguments.

        Args:
            command: the name of the command.
            arguments: what follows it.
            interspersed: whether flags may also follow the other arguments, up to `--`.

        Raises:
            absl.flags.Error: in its words, for an unknown flag or a value that it does not take.
            UserError: for a flag file that cannot be read, or an argument that nothing can be done with.
        """
        self._values.set_gnu_getopt(interspersed)
        arguments = expand_flagfiles(arguments)
        for argument in arguments:
            if "\0" in argument:
                raise UserError(f"{argument} has a null character in it, which no value and no name has")
        own = arguments[: arguments.index("--")] if "--" in arguments else arguments
        for before, argument in zip(["", *own], own, strict=False):
            self.check_argument(argument, is_value=self._kinds.get(before.lstrip("-"), bool) is not bool)
        return self._values([command, *arguments])[1:]

    def check_argument(self, argument: str, is_value: bool) -> None:
        """Raises a `UserError` for text that libraries beneath cannot take, and for a value where a flag has none.

        Args:
            argument: one of the command line.
            is_value: whether it is the value of the flag before it.
        """
        if not (is_value or argument.startswith("-")):
            return
        if argument.encode(errors="replace").decode() != argument:
            raise UserError(f"{argument} is not UTF-8, which TensorFlow needs: give it another name")
        name, equals, value = argument.lstrip("-").partition("=")
        if is_value:
            return
        if len(name) > MAX_NAME:  # which absl would compare with all others, recursively
            raise absl_flags.UnrecognizedFlagError(name, value)
        if self._kinds.get(name) is tuple:
            check_count(f"--{name}", value.split(","), MAX_VALUES)
        if equals and name.startswith("no") and self._kinds.get(name[2:]) is bool:
            raise UserError(f"--{name} takes no value: it is --{name}, or --{name[2:]} for the contrary")

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
