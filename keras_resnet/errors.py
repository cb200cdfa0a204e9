"""The expected errors: a user's mistake, a request to stop, and a worker that died; and how a message becomes one line."""

import contextlib
import re
import sys
from collections.abc import Iterable, Sized

PREFIX = "keras-resnet: "  # of the lines on standard error
MAX_COUNT = 2**31 - 1  # of anything that is counted; what is more does not fit into TensorFlow's indices
LONGEST_VALUE, LONGEST_LINE = 300, 1500  # characters that a message quotes of one value, and has in all

# Control characters, line and paragraph separators, marks that turn the direction of what follows, characters without a
# width but the joiners of words and emoji, and the surrogates that stand for bytes which are not UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
LONG_VALUE = re.compile(rf"\S{{{LONGEST_VALUE + 1},}}")


class UserError(ValueError):
    """A wrong value, file or folder: one line that names it and the valid choices.

    The command prints that line and exits with status 2. Any other exception is a bug in this package. Whatever the message
    quotes, `str(error)` is one line that a terminal shows as it is: see `one_line`.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


class DivergedError(UserError):
    """The loss of a training, or of its validation, is NaN or infinite."""


class TrainingInterrupted(Exception):  # noqa: N818  nothing went wrong
    """A signal stopped the training, which saved its state first.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class WorkerLost(Exception):  # noqa: N818  nothing is wrong with this worker
    """Another worker of the training ended, and this one cannot go on alone. The same command resumes the training."""


class ReportFailed(Exception):  # noqa: N818  the training itself is done
    """A run has left its classifier, but a file of its report could not be written. The same command writes it.

    Attributes:
        result: the metrics on the test split, as `train` returns them.
    """

    def __init__(self, message: str, result: dict[str, float]) -> None:
        super().__init__(message)
        self.result = result


def one_line(text: object) -> str:
    """What one line can show of any text: see `printable`, and of long values and lines only both ends and the length."""
    line = LONG_VALUE.sub(lambda match: cut_middle(match[0], LONGEST_VALUE), printable(str(text)))
    return cut_middle(line, LONGEST_LINE)


def print_message(message: object) -> None:
    """Prints a message on standard error, as one line. Where nobody is left to read it, it is lost, and nothing ends."""
    with contextlib.suppress(OSError):
        print(f"{PREFIX}{one_line(message)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Writes characters that a terminal would act on, or could not show, as Python's escapes, such as `\\n` and `\\x1b`."""
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def cut_middle(text: str, most: int) -> str:
    """A text of over `most` characters as its two ends, which say how long it was."""
    if len(text) <= most:
        return text
    cut = f"... ({len(text):,} characters) ..."
    half = (most - len(cut)) // 2
    return f"{text[:half]}{cut}{text[-half:]}"


def check_at_most(name: str, value: float, most: float) -> None:
    """Raises a `UserError` for a number above `most`, before anything is made that is so large."""
    if value > most:
        raise UserError(f"{name} is {number_text(value)}; it must be at most {most}")


def check_count(name: str, values: Sized, most: int) -> None:
    """Raises a `UserError` for more than `most` values in a list."""
    if len(values) > most:
        raise UserError(f"{name} has {len(values)} values; it must have at most {most}")


def number_text(value: float) -> str:
    """A number as a message says it; Python does not write whole numbers of over 4,300 digits."""
    try:
        return str(value)
    except ValueError as error:
        return f"a number that is too long to be written ({first_line(error).partition(';')[0]})"


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, to quote a library's error in a `UserError`."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def comma_join(values: Iterable[object], most: int | None = None) -> str:
    """Joins the values to "a, b, c"; where there are more than `most`, the first of them to "a, b, c, ..."."""
    texts = [str(value) for value in values]
    return ", ".join(texts if most is None or len(texts) <= most else [*texts[:most], "..."])
