"""SIGTERM and Ctrl-C as a wish that the loop hears between its steps, so that it can save before it ends."""

import signal
import threading

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Inside, the first such signal only sets `received`; a second one acts as it would without us."""

    def __init__(self):
        self.received = None
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *exception):
        self._restore()

    def _handle(self, number, frame):
        self.received = number
        self._restore()

    def _restore(self):
        while self._before:
            signal.signal(*self._before.popitem())
