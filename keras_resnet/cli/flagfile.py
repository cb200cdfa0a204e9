"""Flag files: more arguments, one per line, in place of `--flagfile=FILE`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from keras_resnet.errors import UserError, first_line

LARGEST = 1_000_000  # characters of a file
COMMENTS = ("#", "//")


def expand_flagfiles(arguments: Iterable[str], inside: tuple[Path, ...] = ()) -> list[str]:
    """Puts the lines of each flag file in the place of `--flagfile=FILE` or `--flagfile FILE`, up to `--`.

    Args:
        arguments: of a command, or of a flag file.
        inside: the flag files that `arguments` are from, the outermost first.

    Raises:
        UserError: for a file that cannot be read, or that includes itself.
    """
    expanded, rest = [], iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            expanded.append(argument)
            if argument == "--":
                break
            continue
        value = value if equals else next(rest, "")
        if not value:
            raise UserError("--flagfile names no file: it is --flagfile=FILE, with one flag per line")
        path = Path(value).expanduser()
        if path in inside:
            raise UserError(f"the flag file {path} includes itself")
        expanded += expand_flagfiles(read_lines(path), (*inside, path))
    return [*expanded, *rest]


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a flag file that are not empty and not comments."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(LARGEST + 1)
    except UnicodeDecodeError as error:
        raise UserError(f"the flag file {path} is not a text file in UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"the flag file {path} cannot be read: {reason}") from error
    if len(text) > LARGEST:
        raise UserError(f"the flag file {path} has over {LARGEST:,} characters; it has one flag per line")
    lines = (line.strip() for line in text.splitlines())
    yield from (line for line in lines if line and not line.startswith(COMMENTS))
