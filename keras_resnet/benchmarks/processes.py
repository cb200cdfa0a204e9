"""A candidate's process, seen from outside; `worker` is the other end of the pipe."""

import json
import subprocess
import tempfile
from typing import Any, Self

from keras_resnet.environment import describe_exit, python_module

from .worker import Answer, Failure, Request


class WorkerError(Exception):
    """A candidate cannot run, or its process has died. is_user_error: whether the user can mend it."""

    def __init__(self, message: str, is_user_error: bool) -> None:
        super().__init__(message)
        self.is_user_error = is_user_error


class WorkerProcess:
    """One object of the class `class_path`, MODULE.CLASS, in a process of its own.

    It inherits this process's environment, and ends with the `with` block or when this process is gone.
    """

    def __init__(self, class_path: str, verbosity: str) -> None:
        self.class_path, self.verbosity = class_path, verbosity

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            python_module(f"{__package__}.worker", self.class_path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors if self.verbosity == "quiet" else None,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # it has nothing to save
        self._process.communicate()
        self._errors.close()

    def call(self, method: str, **arguments: Any) -> Any:
        """Returns what a method of the object returns.

        Raises:
            WorkerError: The method raised, or the process has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        request: Request = {"call": method, "arguments": arguments}
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            reply: Answer | Failure = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            raise WorkerError(self._ending(), is_user_error=False) from error
        if "error" in reply:
            raise WorkerError(reply["error"], reply["is_user_error"])
        return reply["answer"]

    def _ending(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        how = describe_exit(status).removeprefix("was ")
        return f"{how} ({lines[-1].strip()})" if lines else how
