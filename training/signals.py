"""SIGTERM, Ctrl-C and a closed terminal as a request to end, which the loop polls between its steps to save first."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from keras_resnet.errors import TrainingInterrupted

NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")  # the last two are each known to some systems only
STOP_SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class StopNow(BaseException):
    """Ends what the main thread does; no `except Exception` of a library keeps it."""


class StopSignal:
    """Inside, the first such signal ends the run with a `TrainingInterrupted`; a second one acts as it did before.

    It ends it at once, or, inside `polled`, only sets `received`. Signals that the process ignores, as under nohup, stay
    ignored.

    Attributes:
        received: the signal's number.
        where: how far the run is, and what the same command does next, for the message.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.where = "before the first step; the same command starts again"
        self._before: dict[int, Any] = {}
        self._polled = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._restore()
        if isinstance(error, StopNow) and self.received:
            message = f"stopped by {signal.Signals(self.received).name} {self.where}"
            raise TrainingInterrupted(message, self.received) from None

    @contextlib.contextmanager
    def polled(self) -> Iterator[None]:
        """Inside, the signal only sets `received`."""
        self._polled = True
        try:
            yield
        finally:
            self._polled = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()
        if not self._polled:
            raise StopNow

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
