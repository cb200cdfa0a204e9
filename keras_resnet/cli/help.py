"""How the help of the commands looks: flags under headings, wrapped to the terminal."""

import shutil
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from .flags import PLACEHOLDERS, FlagHelp, Flags

GENERAL = "General"  # the heading of the flags that every command has; the last
WIDEST, NARROWEST = 100, 40  # columns
FLAGFILE = "Read more flags from this file, one per line."


class Documented(Protocol):
    """What the help says of a command: see `command.Command`."""

    @property
    def summary(self) -> str: ...
    @property
    def arguments(self) -> str: ...
    @property
    def required(self) -> tuple[str, ...]: ...
    @property
    def example(self) -> str: ...


def overview(commands: Mapping[str, Documented]) -> str:
    """The help of the command itself: what there is, and an example of each."""
    lines = ["keras-resnet COMMAND [--flag=value ...]", ""]
    for name, command in commands.items():
        lines += wrapped(command.summary or "-", first=f"  {name:10}", rest=" " * 12)  # without docstrings, as by python -OO
    examples = [command.example for command in commands.values() if command.example]
    lines += ["", "Examples:", *(line for example in examples for line in example_lines(example))]
    return "\n".join([*lines, "", "keras-resnet COMMAND --help explains the flags of a command."])


def command_help(name: str, command: Documented, flags: Flags, source: str, defaults: Mapping[str, Any]) -> str:
    """The help of one command.

    Args:
        name: what the command is called.
        command: the command.
        flags: its flags; their values do not matter.
        source: where `defaults` are from, in a sentence, or what they depend on.
        defaults: `{flag: value}` for flags whose default depends on other flags.
    """
    lines = wrapped(" ".join(filter(None, (f"keras-resnet {name} [--flag=value ...]", command.arguments))))
    for text in (command.summary, source):
        lines += ["", *wrapped(text)] if text else []
    for group in groups(flags):
        lines += ["", f"{group}:"]
        for flag in flags:
            if flags.help_of(flag).group == group:
                lines += flag_lines(flag, flags, flag in command.required, defaults)
    lines += entry("--flagfile=FILE", FLAGFILE)
    lines += ["", "Example:", *example_lines(command.example)] if command.example else []
    return "\n".join(lines)


def groups(flags: Flags) -> list[str]:
    """The headings in the order of their first flags."""
    return list(dict.fromkeys(flags.help_of(flag).group for flag in flags))


def flag_lines(name: str, flags: Flags, required: bool, defaults: Mapping[str, Any]) -> list[str]:
    about, kind = flags.help_of(name), flags.kind(name)
    facts = [valid_text(about, kind)]
    if required:
        facts.append("required")
    elif name in defaults and not (defaults[name] is None and about.default):
        facts.append(f"default: {value_text(defaults[name])}")
    elif name != "help":
        facts.append(f"default: {about.default or value_text(flags.default(name))}")
    head = f"--[no]{name}" if kind is bool and name != "help" else f"--{name}"
    if kind is not bool:
        choice = kind is str and isinstance(about.valid, tuple)
        head += f"={about.placeholder or ('NAME' if choice else PLACEHOLDERS[kind])}"
    note = "; ".join(filter(None, facts))
    return entry(head, f"{about.text} [{note}]" if note else about.text)


def valid_text(about: FlagHelp, kind: type) -> str:
    if isinstance(about.valid, str):
        return about.valid
    return f"{'any' if kind is tuple else 'one'} of {', '.join(about.valid)}"


def value_text(value: Any) -> str:
    """A default as one would write it after the flag."""
    if value is None or value == () or value == [] or value == "":
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ",".join(map(value_text, value)) if isinstance(value, tuple | list) else str(value)


def entry(head: str, text: str) -> list[str]:
    return [f"  {head}", *wrapped(text, first=" " * 8, rest=" " * 8)]


def example_lines(example: str) -> Iterable[str]:
    """A command line, continued with a backslash where it is too long, for copying."""
    lines = wrapped(example, first="  ", rest="      ", less=2)
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def wrapped(text: str, first: str = "", rest: str = "", less: int = 0) -> list[str]:
    columns = min(WIDEST, max(NARROWEST, shutil.get_terminal_size(fallback=(80, 24)).columns))
    return textwrap.wrap(
        text, columns - less, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
