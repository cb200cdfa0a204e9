"""Runs one artifact in a process of its own, without Keras: `python -m keras_resnet.export.verification.worker`.

Writes its outputs for some images to one file, and its operators and its latency to another.
"""

import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from ..runtime import Predictor, load_predictor

MIN_SECONDS, MIN_RUNS = 0.3, 10  # of the timing


def main(artifact: str, images_file: str, outputs_file: str, facts_file: str) -> None:
    """Runs the artifact on the images (N, H, W, C) of a `.npy` file."""
    sys.modules["keras"] = None  # pyright: ignore[reportArgumentType]  TensorFlow imports it where it can
    images, predictor = np.load(images_file), load_predictor(artifact)
    np.save(outputs_file, predictor.run(images))
    facts = {**dataclasses.asdict(predictor.inspect()), "milliseconds": latency(predictor, images[:1])}
    Path(facts_file).write_text(json.dumps(facts), encoding="utf-8")


def latency(predictor: Predictor, image: np.ndarray) -> float:
    """Measures the median time for one image, in milliseconds."""
    seconds = []
    while len(seconds) < MIN_RUNS or sum(seconds) < MIN_SECONDS:
        begin = time.perf_counter()
        predictor.run(image)
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
