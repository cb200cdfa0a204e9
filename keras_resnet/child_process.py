"""A module of this package in a process of its own, whose standard input and output are pipes, seen from outside."""

import collections
import contextlib
import subprocess
import threading
from typing import Any, BinaryIO, Self, cast

from keras_resnet.environment import describe_exit, python_module

KEPT_CHUNKS, CHUNK = 8, 4096  # of what the process prints: its last words are quoted where it ends by itself


class ChildProcess:
    """A process that ends with the `with` block, or when this process is gone. It inherits this process's environment.

    Args:
        module: what it runs, as `python -m` takes it; it answers on standard output what it reads on standard input.
        arguments: of its command line.
        verbosity: "quiet" hides what it prints on standard error.
        own_session: whether a terminal's Ctrl-C does not reach it.

    Attributes:
        verbosity: as given.
    """

    def __init__(self, module: str, *arguments: str, verbosity: str, own_session: bool = False) -> None:
        self._command, self.verbosity, self._own_session = python_module(module, *arguments), verbosity, own_session
        self._printed: collections.deque[bytes] = collections.deque(maxlen=KEPT_CHUNKS)

    def __enter__(self) -> Self:
        stderr = subprocess.PIPE if self.verbosity == "quiet" else None
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=self._own_session,  # which Windows, where Ctrl-C reaches it, leaves out
        )
        self._reader = threading.Thread(target=self._keep_last_words, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # it has nothing to save
        self._wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):  # what the process did not live to read
                if stream:
                    stream.close()

    def terminate(self) -> None:
        """Sends it SIGTERM, at which it may save; Windows ends it."""
        self._process.terminate()

    @property
    def _pipes(self) -> tuple[BinaryIO, BinaryIO]:
        """Its standard input and output."""
        return cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    def _wait(self) -> int:
        """Waits for its end and its last words; returns its exit status."""
        status = self._process.wait()
        self._reader.join(timeout=1)
        return status

    def _ending(self) -> tuple[str, int]:
        """How it has ended, with its last words, and its exit status, which is below 0 for a signal."""
        status = self._wait()
        lines = b"".join(self._printed).decode(errors="replace").strip().splitlines()
        return f"{describe_exit(status)}{f' ({lines[-1].strip()})' if lines else ''}", status

    def _keep_last_words(self) -> None:
        stream: Any = self._process.stderr
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            while stream and (chunk := stream.read1(CHUNK)):
                self._printed.append(chunk)
