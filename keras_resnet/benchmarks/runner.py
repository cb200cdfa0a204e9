"""The runner of interleaved measurements: all candidates alive at once, each in a process of its own, one of them at work."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Self, TypeVar

from keras_resnet.errors import UserError

from .processes import WorkerError, WorkerProcess

T = TypeVar("T")


@dataclasses.dataclass(kw_only=True)
class Entry:
    """What was measured of one candidate, or in `failure` why nothing was.

    required: whether the benchmark ends when this one fails. peak_memory: megabytes. versions: of its libraries.
    """

    title: str
    required: bool = False
    peak_memory: float | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    failure: str = ""

    @contextlib.contextmanager
    def recorded_failure(self) -> Iterator[None]:
        """Inside, the reason of a failure becomes the entry's `failure`; if the entry is required, it is raised."""
        try:
            yield
        except WorkerError as error:
            if self.required:
                raise (UserError if error.is_user_error else RuntimeError)(str(error)) from error
            self.failure = str(error)


E = TypeVar("E", bound=Entry)


class Runner(Generic[E]):
    """The processes of all entries that have not failed, from the start of the `with` block to its end.

    session: MODULE.CLASS of a `session.Session` with a method `measure`. report_progress: receives lines of text.
    """

    def __init__(self, session: str, entries: Sequence[E], verbosity: str, report_progress: Callable[[str], None]) -> None:
        self._workers = [(entry, WorkerProcess(session, verbosity)) for entry in entries if not entry.failure]
        self._report_progress = report_progress

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for _, process in self._workers:
                stack.enter_context(process)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def prepare(self, prepare: Callable[[E, WorkerProcess], None]) -> None:
        """Calls `prepare` with each entry and its process, one after the other."""
        for entry, process in self._workers:
            self._report_progress(f"{entry.title}: preparing")
            with entry.recorded_failure():
                prepare(entry, process)

    def run(self, rounds: int, add: Callable[[E, Any], None], after_round: Callable[[], None] = lambda: None) -> None:
        """Measures all that still run once per round, then reads the most memory that each had.

        `add` is called with an entry and what its session's `measure` returned.
        """
        for round_ in range(rounds):
            for entry, process in rotated(self._workers, round_):
                if not entry.failure:
                    with entry.recorded_failure():
                        add(entry, process.call("measure"))
            after_round()
            self._report_progress(f"round {round_ + 1} of {rounds}")
        for entry, process in self._workers:
            if not entry.failure:
                with entry.recorded_failure():
                    entry.peak_memory = process.call("peak_memory")


def rotated(items: Sequence[T], by: int) -> list[T]:
    """Starts the order one further each round, so that a noisy moment does not always hit the same candidate."""
    by %= max(len(items), 1)
    return [*items[by:], *items[:by]]
