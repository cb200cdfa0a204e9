"""The expected errors: a user's mistake, a request to stop, and a worker that died."""

from collections.abc import Iterable


class UserError(ValueError):
    """A wrong value, file or folder: one line that names it and the valid choices.

    The command prints that line and exits with status 2. Any other exception is a bug in this package.
    """


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


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, to quote a library's error in a `UserError`."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def comma_join(values: Iterable[object], most: int | None = None) -> str:
    """Joins the values to "a, b, c"; where there are more than `most`, the first of them to "a, b, c, ..."."""
    texts = [str(value) for value in values]
    return ", ".join(texts if most is None or len(texts) <= most else [*texts[:most], "..."])
