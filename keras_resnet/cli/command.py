"""absl flags per command, without absl's exit status 1 for a user's mistake: here it is 2, with one line."""

import difflib
import os
import sys

from absl import flags

from keras_resnet import environment
from keras_resnet.errors import TrainingInterrupted, UserError, WorkerLost, comma_join, first_line


class Command:
    """A function `run(flags, arguments)` behind a name, with flags of its own; `arguments` is what follows them in the usage.

    `define(values)` declares the flags on an absl `FlagValues`; those in `required` must be given. `--flagfile` works.
    """

    def __init__(self, run, define, required=(), arguments=""):
        self.run, self.required, self.arguments = run, required, arguments
        self.flags = flags.FlagValues()
        flags.DEFINE_bool("help", False, "show this help", flag_values=self.flags)
        verbosities = list(environment.VERBOSITIES)
        flags.DEFINE_enum("verbosity", "quiet", verbosities, "what the libraries may print", flag_values=self.flags)
        define(self.flags)

    def parse(self, name, arguments):
        """Sets the flags and returns the other arguments."""
        try:
            others = self.flags([name, *arguments])[1:]
        except flags.UnrecognizedFlagError as error:
            near = difflib.get_close_matches(error.flagname, list(self.flags), n=2)
            hint = f"did you mean {comma_join(f'--{flag}' for flag in near)}?" if near else f"see keras-resnet {name} --help"
            raise UserError(f"unknown flag --{error.flagname}; {hint}") from error
        except flags.Error as error:
            raise UserError(first_line(error)) from error
        if self.flags.help:
            return others
        if others and not self.arguments:
            raise UserError(f"{name} takes flags only, not {comma_join(others)}")
        missing = [f"--{flag}" for flag in self.required if not self.flags[flag].value]
        if missing or (self.arguments and not others):
            raise UserError(f"{name} needs {comma_join(missing or [self.arguments])}; see keras-resnet {name} --help")
        return others

    def help(self, name):
        lines = [f"keras-resnet {name} [--flag=value ...] {self.arguments}".rstrip(), self.run.__doc__.splitlines()[0], ""]
        for flag in sorted(self.flags):
            default = self.flags[flag].default_as_str
            note = " (required)" if flag in self.required else f" (default {default})" if default else ""
            lines.append(f"  --{flag}: {self.flags[flag].help}{note}")
        return "\n".join(lines)


def main(commands, argv):
    """Runs the command that `argv` names and returns the exit status: 0, 2 for a mistake, 1 for what failed without one: a
    verification, or a worker that others have left.

    A run that a signal stopped ends with 128 and the signal's number.
    """
    try:
        return _dispatch(commands, argv)
    except UserError as error:
        message = str(error)
    except TrainingInterrupted as stopped:
        print(f"keras-resnet: {stopped}", file=sys.stderr)
        return 128 + stopped.signal
    except WorkerLost as error:
        print(f"keras-resnet: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename and str(error.filename) not in str(error.strerror) else ""
        message = f"{error.strerror or first_line(error)}{where}"
    except KeyboardInterrupt:
        print("\nkeras-resnet: interrupted", file=sys.stderr)
        return 130
    print(f"keras-resnet: {message}", file=sys.stderr)
    return 2


def _dispatch(commands, argv):
    if not argv or argv[0] in ("--help", "-h", "help"):
        print("keras-resnet COMMAND [--flag=value ...]\n")
        for name, command in commands.items():
            print(f"  {name:10} {command.run.__doc__.splitlines()[0]}")
        print("\nkeras-resnet COMMAND --help shows a command's flags.")
        return 0 if argv else 2
    name, *arguments = argv
    if name not in commands:
        raise UserError(f"unknown command {name!r}; the commands are {comma_join(commands)}")
    command = commands[name]
    others = command.parse(name, arguments)
    if command.flags.help:
        print(command.help(name))
        return 0
    return command.run(command.flags, others) or 0
