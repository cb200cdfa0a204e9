"""A contestant's process, seen from outside: see `serve` for what goes over the pipe."""

import json
import signal
import subprocess
import sys
import tempfile


class FailedError(Exception):
    """A contestant cannot run, or has died. mistake: whether it is a mistake of the user's."""

    def __init__(self, message, is_user_error):
        super().__init__(message)
        self.is_user_error = is_user_error


class Process:
    """One object of the class `class_path`, MODULE.CLASS, in a process of its own.

    The environment is the one that we were started in. Ends with the `with` block, or when we are gone.
    """

    def __init__(self, class_path, verbosity):
        self.class_path, self.verbosity = class_path, verbosity

    def __enter__(self):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", rf"{__package__}.worker", self.class_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors if self.verbosity == "quiet" else None,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *error):
        self._process.kill()  # it has nothing to save
        self._process.communicate()
        self._errors.close()

    def call(self, method, **arguments):
        """The answer of a method of the object."""
        try:
            print(json.dumps({"call": method, **arguments}), file=self._process.stdin, flush=True)
            reply = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            raise FailedError(self._ending(), is_user_error=False) from error
        if "error" in reply:
            raise FailedError(reply["error"], reply["is_user_error"])
        return reply["answer"]

    def _ending(self):
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
        return f"{how} ({lines[-1].strip()})" if lines else how
