"""A candidate's process, seen from outside; `worker` is the other end of the pipe."""

import json
from typing import Any

from keras_resnet.child_process import ChildProcess

from .worker import Answer, Failure, Request


class WorkerError(Exception):
    """A candidate cannot run, or its process has died. is_user_error: whether the user can mend it."""

    def __init__(self, message: str, is_user_error: bool) -> None:
        super().__init__(message)
        self.is_user_error = is_user_error


class WorkerProcess(ChildProcess):
    """One object of the class `class_path`, MODULE.CLASS, in a process of its own."""

    def __init__(self, class_path: str, verbosity: str, own_session: bool = False) -> None:
        super().__init__(f"{__package__}.worker", class_path, verbosity=verbosity, own_session=own_session)

    def call(self, method: str, **arguments: Any) -> Any:
        """Returns what a method of the object returns.

        Raises:
            WorkerError: The method raised, or the process has ended.
        """
        requests, replies = self._pipes
        request: Request = {"call": method, "arguments": arguments}
        try:
            requests.write(json.dumps(request).encode() + b"\n")
            requests.flush()
            reply: Answer | Failure = json.loads(replies.readline())
        except (OSError, ValueError) as error:
            raise WorkerError(self._ending()[0].removeprefix("was "), is_user_error=False) from error
        if "error" in reply:
            raise WorkerError(reply["error"], reply["is_user_error"])
        return reply["answer"]
