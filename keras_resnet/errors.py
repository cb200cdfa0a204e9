"""The exceptions that are no bugs: a mistake of the user's, a wish to stop, and a peer that has died."""


class UserError(ValueError):
    """A wrong value, file or folder: one line that names it and the valid choices.

    The command turns it into that line and exit status 2. Anything else that is raised is a bug of ours.
    """


class TrainingInterrupted(Exception):  # noqa: N818  nothing went wrong
    """A run that a signal asked to end, and that has saved what it did. `signal`: its number."""

    def __init__(self, message, signal):
        super().__init__(message)
        self.signal = signal


class WorkerLost(Exception):  # noqa: N818  nothing is wrong with this worker
    """Another worker of a run has ended, and this one cannot go on alone. The same command would continue the run."""


def first_line(error):
    """The first line of an exception's message, for quoting a library's error inside our own."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def comma_join(values):
    return ", ".join(str(value) for value in values)
