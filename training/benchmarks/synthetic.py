"""Images to learn nothing from."""

import math

import numpy as np

MOST_BYTES = 200_000_000  # of images at a time


def synthetic(config, steps, bytes_per_value=4):
    """(images uint8 (N, H, W, 3), labels (N,), epochs): enough for at least `steps` steps in so many passes.

    The pixels are 0, 1 and 2: raw for our pipeline, and about as wide as normalised ones for a network.
    """
    shape = (config.side, config.side, 3)
    most = max(1, MOST_BYTES // (config.batch_size * math.prod(shape) * bytes_per_value))
    epochs = math.ceil(steps / most)
    count = math.ceil(steps / epochs) * config.batch_size
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, (count, *shape), np.uint8), rng.integers(0, config.family.classes, count), epochs
