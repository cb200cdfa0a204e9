"""The process of one artifact, seen from outside; `worker` is the other end of the pipes."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator

import numpy as np

from keras_resnet.child_process import ChildProcess
from keras_resnet.errors import UserError
from keras_resnet.metadata import ClassifierMetadata

from ..formats.inspection import Inspection
from ..runtime import Predictor, format_of, load_predictor
from .messages import Message, receive, send


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


class ArtifactProcess(ChildProcess):
    """A process that has opened an artifact. It ends with the `with` block, or when this process is gone.

    Args:
        path: The artifact.
        verbosity: "quiet" hides what its libraries print.
        variant: One of `variants` of another process of the artifact, or none.
    """

    def __init__(self, path: str | os.PathLike[str], verbosity: str = "quiet", variant: str = "") -> None:
        super().__init__(f"{__package__}.worker", os.fspath(path), verbosity, variant, verbosity=verbosity)
        self.path, self.outputs = path, ()

    @functools.cached_property
    def predictor(self) -> Predictor:
        """The classifier, whose images and outputs go through the pipes, a batch at a time."""
        opened, _ = self._answer()
        self.outputs = tuple(opened["outputs"])
        return Predictor(self.path, ClassifierMetadata.from_json(opened["metadata"]), self, self.inspect)

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C) -> {output: float32 (N, ...)}, for one batch."""
        return self._call("run", images)[1]

    def inspect(self) -> Inspection:
        """Counts the operators."""
        return Inspection(**self._call("inspect")[0])

    def variants(self) -> list[str]:
        """Names the other ways in which the runtime computes the artifact on some machines."""
        return self._call("variants")[0]["variants"]

    def latency(self, image: np.ndarray) -> float:
        """Measures the median time for one image, (1, H, W, C), in milliseconds."""
        return self._call("latency", image)[0]["milliseconds"]

    def _call(self, call: str, images: np.ndarray | None = None) -> tuple[Message, dict[str, np.ndarray]]:
        try:
            send(self._pipes[0], {"call": call}, {} if images is None else {"images": images})
        except OSError as error:
            raise self._failure() from error
        return self._answer()

    def _answer(self) -> tuple[Message, dict[str, np.ndarray]]:
        try:
            message, arrays = receive(self._pipes[1])
        except (EOFError, OSError) as error:
            raise self._failure() from error
        if "error" in message:
            raise UserError(message["error"])
        return message, arrays

    def _failure(self) -> UserError:
        how, status = self._ending()
        advice = ": the file is damaged, or memory ran out" if status < 0 else ""
        return UserError(f"{self.path} cannot be run: its process {how}{advice}")
