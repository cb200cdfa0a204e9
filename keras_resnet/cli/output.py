"""What commands print: lines, tables, and lines about their progress, on whatever there is to print to.

Commands print by these functions alone, so that names from files cannot break a line or steer the terminal.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from keras_resnet.errors import UserError, one_line, printable

PIPE_WIDTH = 160  # columns of a table that goes to a file or another program


def prepare_streams() -> None:
    """Lets standard output and error exist and take every character: those that they cannot encode become escapes.

    Where the process was started without one of them, the first file to be opened would take its place.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  until the process ends
        elif isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
            stream.reconfigure(errors="backslashreplace")


def print_lines(*lines: str) -> None:
    for line in lines:
        print(printable(line))


def discard_output() -> None:
    """Sends what is still to be printed nowhere: whoever read standard output has gone, or the disk that it goes to is full."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, pad_edge=False)  # no name is cut off
    for row in rows:
        table.add_row(*map(one_line, row))
    console.print(table)


@contextlib.contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows a line on a terminal until the next one or the end."""
    console = Console(stderr=True, markup=False)
    if not console.is_terminal:
        yield lambda line: None
        return
    with console.status("reading", spinner="dots") as status:
        yield lambda line: status.update(printable(line))


def log_line(line: str) -> None:
    """Prints a line on standard error, where that is a terminal."""
    if sys.stderr.isatty():
        print(printable(line), file=sys.stderr)


def check_json_file(path: Path) -> None:
    """Refuses a name under which there is something, and one in a folder that cannot be written to."""
    if not path.absolute().parent.is_dir():
        raise UserError(f"--json is {path}, in a folder that is not there")
    if os.path.lexists(path):
        raise UserError(f"--json is {path}, which exists already: choose another name")
    if not os.access(path.absolute().parent, os.W_OK):
        raise UserError(f"--json is {path}, in a folder that cannot be written to: choose another one")
