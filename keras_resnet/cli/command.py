"""Finds and runs a command, and turns what goes wrong into one line and an exit status."""

import dataclasses
import difflib
import errno
import sys
from collections.abc import Callable, Mapping
from typing import Any

from absl import flags as absl_flags

from keras_resnet import environment
from keras_resnet.errors import ReportFailed, TrainingInterrupted, UserError, WorkerLost, comma_join, first_line, print_message
from keras_resnet.remote_copies import as_given

from .flags import MAX_NAME, DefineFlags, FlagHelp, Flags
from .help import GENERAL, command_help, overview
from .output import discard_output, prepare_streams, print_lines

HELP_FLAGS = ("--help", "-help", "-h")


def define_nothing(flags: Flags) -> None:
    """Defines no flags."""


def no_defaults(flags: Flags) -> tuple[str, dict[str, Any]]:
    return "", {}


@dataclasses.dataclass(frozen=True)
class Command:
    """A function with flags of its own.

    Attributes:
        run: does the work, and returns an exit status or None for 0. The first line of its docstring is its line in the help.
        define: defines the flags.
        required: the flags that must be given.
        arguments: what follows the flags, for the usage; empty for a command that takes flags only, and in brackets where it
            need not be there.
        example: a command line, for the help.
        effective_defaults: from the flags that are given, the defaults of those whose default depends on them, for the help:
            a line that says where they are from, and `{name: value}`.
    """

    run: Callable[[Flags, list[str]], int | None]
    define: DefineFlags = define_nothing
    required: tuple[str, ...] = ()
    arguments: str = ""
    example: str = ""
    effective_defaults: Callable[[Flags], tuple[str, dict[str, Any]]] = no_defaults

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").partition("\n")[0]

    def new_flags(self) -> Flags:
        """The flags with their defaults, nothing parsed yet."""
        flags = Flags()
        self.define(flags)
        flags.define("help", bool, False, FlagHelp(GENERAL, "Show this help and exit."))
        verbosities = tuple(environment.VERBOSITIES)
        about = FlagHelp(GENERAL, "How much TensorFlow and the other libraries may print.", valid=verbosities)
        flags.define("verbosity", str, "quiet", about, one_of=verbosities)
        return flags

    def parse(self, name: str, arguments: list[str]) -> tuple[Flags, list[str]]:
        """Returns the flags as `arguments` set them, and the other arguments.

        Raises:
            UserError: for an unknown or missing flag, or a value of the wrong type.
        """
        flags = self.new_flags()
        others = parse_flags(flags, name, arguments, interspersed=not self.arguments.startswith("--"))
        if others and not self.arguments:
            raise UserError(f"{name} takes flags only, not {comma_join(others)}")
        missing = [f"--{flag}" for flag in self.required if not flags.value(flag)]
        if missing or (self.arguments and not self.arguments.startswith("[") and not others):
            raise UserError(f"{name} needs {comma_join(missing or [self.arguments])}; see keras-resnet {name} --help")
        return flags, others

    def help(self, name: str, arguments: list[str]) -> str:
        """The help, with the defaults that the flags among `arguments` lead to; a mistake in them is only mentioned."""
        flags = self.new_flags()
        try:
            parse_flags(flags, name, arguments)
            source, defaults = self.effective_defaults(flags)
        except UserError as error:
            source = f"This command line has a mistake: {error}."
            _, defaults = self.effective_defaults(self.new_flags())
        return command_help(name, self, flags, source, defaults)


def parse_flags(flags: Flags, name: str, arguments: list[str], interspersed: bool = False) -> list[str]:
    """Sets the flags and returns the other arguments, see `Flags.parse`, or raises a `UserError` of one line."""
    try:
        return flags.parse(name, arguments, interspersed)
    except absl_flags.UnrecognizedFlagError as error:
        near = similar_names(error.flagname[:MAX_NAME], list(flags))
        hint = f"did you mean {comma_join(f'--{flag}' for flag in near)}?" if near else f"see keras-resnet {name} --help"
        raise UserError(f"unknown flag --{error.flagname}; {hint}") from error
    except UserError:
        raise
    except (absl_flags.Error, ValueError) as error:
        if isinstance(error.__context__, UserError):  # of the flag's own parser; absl says it again
            raise error.__context__ from None
        message = first_line(error)
        if isinstance(error.__context__, ValueError) and len(error.__context__.args) > 1:  # of a flag that is on or off
            message = f"{message.partition(': (')[0]}: it is true or false"
        raise UserError(message) from error


def similar_names(name: str, known: list[str]) -> list[str]:
    """Those that are spelled like a name, or else that have it among their words: --ema is --ema_momentum."""
    words = set(name.lower().split("_"))
    return difflib.get_close_matches(name, known, n=2) or [other for other in known if words & set(other.split("_"))][:2]


def main(commands: Mapping[str, Command], argv: list[str]) -> int:
    """Runs the command that `argv` names and returns the exit status.

    Returns:
        0 for success; 2 for a user's mistake, with one line that says it; 1 for what failed without one: a verification, a
        report of a run that left its classifier, or a worker whose peers have ended; 128 and the signal's number for a run
        that a signal stopped.
    """
    prepare_streams()
    try:
        status = _dispatch(commands, argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        discard_output()
        return 0
    except Exception as error:
        message, status = explain(error)
    except KeyboardInterrupt:
        message, status = "interrupted", 130
    print_message(message)
    return status


def explain(error: Exception) -> tuple[str, int]:
    """The line that says what went wrong, and the exit status; raises what is a bug in this package again."""
    match error:
        case UserError():
            return as_given(str(error)), 2
        case TrainingInterrupted():
            return str(error), 128 + error.signal
        case WorkerLost() | ReportFailed():
            return str(error), 1
        case MemoryError():
            return f"there is not enough memory: {first_line(error)}", 2
        case OSError():
            if error.errno == errno.ENOSPC and error.filename is None:
                discard_output()
            where = f" ({error.filename})" if error.filename and str(error.filename) not in str(error.strerror) else ""
            return as_given(f"{error.strerror or first_line(error)}{where}"), 2
    raise error


def _dispatch(commands: Mapping[str, Command], argv: list[str]) -> int:
    if not argv or argv[0] in (*HELP_FLAGS, "help"):
        print_lines(*overview(commands).split("\n"))
        return 0 if argv else 2
    name, *arguments = argv
    if name not in commands:
        raise UserError(f"unknown command {name!r}; the commands are {comma_join(commands)}")
    command = commands[name]
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if any(argument in HELP_FLAGS for argument in own):
        rest = [argument for argument in own if argument not in HELP_FLAGS]
        print_lines(*command.help(name, rest).split("\n"))
        return 0
    return command.run(*command.parse(name, arguments)) or 0
