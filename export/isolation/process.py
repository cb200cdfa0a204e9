"""The process of one artifact, seen from outside; `worker` is the other end of the pipes."""

import collections
import contextlib
import functools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Self, cast

import numpy as np

from keras_resnet.environment import describe_exit, python_module
from keras_resnet.errors import UserError
from keras_resnet.metadata import ClassifierMetadata

from ..formats.inspection import Inspection
from ..runtime import Predictor, format_of, load_predictor
from .messages import Message, receive, send

KEPT_CHUNKS, CHUNK = 8, 4096  # of what the process prints: its last words are quoted where it ends by itself


@contextlib.contextmanager
def open_predictor(
    path: str | os.PathLike[str], verbosity: str = "quiet", meanwhile: Callable[[bool], None] = lambda needs_keras: None
) -> Iterator[Predictor]:
    """Opens a classifier for the `with` block: `.keras` files in this process, artifacts in one of their own.

    Args:
        path: The file or folder.
        verbosity: "quiet" hides what an artifact's libraries print.
        meanwhile: Is called before Keras is imported here, with True, or while the artifact is opened in its process, with
            False.

    Raises:
        UserError: In one line, for whatever is wrong with the file; also later, when it is run.
    """
    if format_of(path).needs_keras:
        meanwhile(True)
        yield load_predictor(path)
        return
    with ArtifactProcess(path, verbosity) as process:
        meanwhile(False)
        yield process.predictor


class ArtifactProcess:
    """A process that has opened an artifact. It ends with the `with` block, or when this process is gone.

    Args:
        path: The artifact.
        verbosity: "quiet" hides what its libraries print.
    """

    def __init__(self, path: str | os.PathLike[str], verbosity: str = "quiet") -> None:
        self.path, self._quiet, self.output = path, verbosity == "quiet", ""
        self._command = python_module(f"{__package__}.worker", os.fspath(path), verbosity)
        self._printed: collections.deque[bytes] = collections.deque(maxlen=KEPT_CHUNKS)

    def __enter__(self) -> Self:
        stderr = subprocess.PIPE if self._quiet else None
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        self._reader = None
        if self._process.stderr:
            self._reader = threading.Thread(target=self._keep_last_words, args=(self._process.stderr,), daemon=True)
            self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # it has nothing to save
        self._process.wait()
        if self._reader:
            self._reader.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):  # what the process did not live to read
                if stream:
                    stream.close()

    @functools.cached_property
    def predictor(self) -> Predictor:
        """The classifier, whose images and outputs go through the pipes, a batch at a time."""
        opened, _ = self._answer()
        self.output = opened["output"]
        return Predictor(self.path, ClassifierMetadata.from_json(opened["metadata"]), self, self.inspect)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Computes uint8 (N, H, W, C) -> float32 (N, classes), for one batch."""
        _, outputs = self._call("run", images)
        assert outputs is not None
        return outputs

    def inspect(self) -> Inspection:
        """Counts the operators."""
        return Inspection(**self._call("inspect")[0])

    def latency(self, image: np.ndarray) -> float:
        """Measures the median time for one image, (1, H, W, C), in milliseconds."""
        return self._call("latency", image)[0]["milliseconds"]

    def _call(self, call: str, images: np.ndarray | None = None) -> tuple[Message, np.ndarray | None]:
        assert self._process.stdin
        try:
            send(cast(BinaryIO, self._process.stdin), {"call": call}, images)
        except OSError as error:
            raise UserError(self._ending()) from error
        return self._answer()

    def _answer(self) -> tuple[Message, np.ndarray | None]:
        assert self._process.stdout
        try:
            message, array = receive(cast(BinaryIO, self._process.stdout))
        except (EOFError, OSError) as error:
            raise UserError(self._ending()) from error
        if "error" in message:
            raise UserError(message["error"])
        return message, array

    def _ending(self) -> str:
        status = self._process.wait()
        if self._reader:
            self._reader.join(timeout=1)
        lines = b"".join(self._printed).decode(errors="replace").strip().splitlines()
        words = f" ({lines[-1].strip()})" if lines else ""
        advice = ": the file is damaged, or memory ran out" if status < 0 else ""
        return f"{self.path} cannot be run: its process {describe_exit(status)}{words}{advice}"

    def _keep_last_words(self, stream: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            while chunk := stream.read1(CHUNK):
                self._printed.append(chunk)
