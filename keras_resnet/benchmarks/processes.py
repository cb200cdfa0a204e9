"""A candidate's process, seen from outside; `worker` is the other end of the pipe."""

import json
import threading
from typing import Any, Self

from keras_resnet.child_process import ChildProcess

from .worker import Answer, Failure, Request


class WorkerError(Exception):
    """A candidate cannot run, or its process has died. is_user_error: whether the user can mend it."""

    def __init__(self, message: str, is_user_error: bool) -> None:
        super().__init__(message)
        self.is_user_error = is_user_error


class WorkerTimeoutError(WorkerError):
    """A candidate took longer than it may."""


class WorkerProcess(ChildProcess):
    """One object of the class `class_path`, MODULE.CLASS, in a process of its own.

    seconds: after which it is killed; None for never.
    """

    def __init__(self, class_path: str, verbosity: str, own_session: bool = False, seconds: float | None = None) -> None:
        super().__init__(f"{__package__}.worker", class_path, verbosity=verbosity, own_session=own_session)
        self._seconds, self._timer, self._timed_out = seconds, None, False

    def __enter__(self) -> Self:
        super().__enter__()
        if self._seconds is not None:
            self._timer = threading.Timer(self._seconds, self._end_in_time)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._timer:
            self._timer.cancel()
        super().__exit__(*error)

    def _end_in_time(self) -> None:
        self._timed_out = True
        self._process.kill()

    def call(self, method: str, **arguments: Any) -> Any:
        """Returns what a method of the object returns.

        Raises:
            WorkerError: The method raised, or the process has ended.
            WorkerTimeoutError: It was killed, as its time was over.
        """
        requests, replies = self._pipes
        request: Request = {"call": method, "arguments": arguments}
        try:
            requests.write(json.dumps(request).encode() + b"\n")
            requests.flush()
            reply: Answer | Failure = json.loads(replies.readline())
        except (OSError, ValueError) as error:
            if self._timed_out:
                raise WorkerTimeoutError(f"took longer than {self._seconds:.0f} s", is_user_error=False) from error
            raise WorkerError(self._ending()[0].removeprefix("was "), is_user_error=False) from error
        if "error" in reply:
            raise WorkerError(reply["error"], reply["is_user_error"])
        return reply["answer"]
