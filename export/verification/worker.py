"""Runs one artifact in a process of its own, without Keras: `python -m keras_resnet.export.verification.worker`.

Leaves what it gave for some images in one file, and what it is made of and how long it takes in another.
"""

import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

SECONDS, LEAST = 1.0, 10  # that the timing takes, and inferences that it has at least


def main(path, images, outputs, facts):
    sys.modules["keras"] = None  # TensorFlow imports it where it can; a SavedModel must do without
    from ..runtime import load_predictor
    from .inspection import inspect

    images, artifact = np.load(images), load_predictor(path)
    np.save(outputs, artifact.run(images))
    found = {**dataclasses.asdict(inspect(artifact)), "milliseconds": latency(artifact, images[:1])}
    Path(facts).write_text(json.dumps(found), encoding="utf-8")


def latency(artifact, image):
    """The median time for one image, in milliseconds."""
    times = []
    while len(times) < LEAST or sum(times) < SECONDS:
        begin = time.perf_counter()
        artifact.run(image)
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main(*sys.argv[1:])
