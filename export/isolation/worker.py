"""The process of one artifact, without Keras: `python -m keras_resnet.export.isolation.worker ARTIFACT VERBOSITY [VARIANT]`.

Answers one message after the other until its standard input ends. Standard output is reserved for the answers: what a library
prints there goes to standard error.
"""

import dataclasses
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_resnet import environment
from keras_resnet.errors import UserError

from ..runtime import Predictor, format_of, load_predictor
from .messages import Message, receive, send

MIN_SECONDS, MIN_RUNS = 0.3, 10  # of the timing

Answer = tuple[Message, dict[str, np.ndarray]]


def main(artifact: str, verbosity: str, variant: str = "") -> None:
    """Opens the artifact, says what it is, and runs it on the images of each message."""
    sys.modules["keras"] = None  # pyright: ignore[reportArgumentType]  TensorFlow imports it where it can
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    environment.configure(verbosity, tensorflow=False)
    predictor = None
    try:
        predictor = load_predictor(artifact, variant)
        send(answers, {"metadata": predictor.metadata.to_json(), "outputs": list(predictor.outputs)})
    except UserError as error:
        send(answers, {"error": str(error)})
    while predictor and answer_next(predictor, requests, answers):
        pass


def answer_next(predictor: Predictor, requests: BinaryIO, answers: BinaryIO) -> bool:
    """Answers the next message, and tells whether there was one."""
    try:
        message, arrays = receive(requests)
    except EOFError:
        return False
    try:
        answer = ANSWERS[message["call"]](predictor, arrays.get("images"))
    except UserError as error:
        answer = {"error": str(error)}, {}
    send(answers, *answer)
    return True


def run(predictor: Predictor, images: Any) -> Answer:
    """Computes the outputs of one batch."""
    return {}, predictor.run(images)


def inspect(predictor: Predictor, _: None) -> Answer:
    """Counts the operators."""
    return dataclasses.asdict(predictor.inspect()), {}


def measure_latency(predictor: Predictor, image: Any) -> Answer:
    return {"milliseconds": latency(predictor, image)}, {}


def latency(predictor: Predictor, image: np.ndarray) -> float:
    """Measures the median time for one image, in milliseconds."""
    seconds = []
    while len(seconds) < MIN_RUNS or sum(seconds) < MIN_SECONDS:
        seconds.append(predictor.seconds(image))
    return 1000 * statistics.median(seconds)


def variants(predictor: Predictor, _: None) -> Answer:
    """Names the other ways in which the runtime computes the artifact on some machines."""
    return {"variants": list(format_of(predictor.path).variants(Path(predictor.path)))}, {}


ANSWERS: dict[str, Callable[[Predictor, Any], Answer]] = {
    "run": run,
    "inspect": inspect,
    "latency": measure_latency,
    "variants": variants,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
