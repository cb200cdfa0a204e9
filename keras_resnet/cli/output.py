"""What commands print: tables, and lines about their progress."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 160  # columns of a table that goes to a file or another program


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


@contextlib.contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows a line on a terminal until the next one or the end."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda line: None
        return
    with console.status("reading", spinner="dots") as status:
        yield status.update


def log_line(line: str) -> None:
    """Prints a line on standard error, where that is a terminal."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)
