"""Weights and images that a test and `make.py` both compute, so that the reference files need not hold them."""

import math
import zlib

import numpy as np

GAIN = 0.7  # keeps the logits of a hundred layers of such weights below 1e5


def tensor(name, shape):
    """The values of the tensor that PyTorch calls `name`: drawn from a generator that the name alone seeds."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    rng = np.random.RandomState(zlib.crc32(name.encode()))  # a stream that NumPy never changes
    if name.endswith("running_var") or (name.endswith(".weight") and len(shape) == 1):
        values = rng.uniform(0.5, 1.5, shape)
    elif name.endswith((".running_mean", ".bias")):
        values = rng.normal(0, 0.2, shape)
    elif name.endswith(".weight"):
        values = rng.normal(0, GAIN * math.sqrt(2 / math.prod(shape[1:])), shape)
    else:
        raise ValueError(f"no rule for a tensor named {name!r}")
    return values.astype(np.float32)


def images(shape, seed=0):
    """Standard normal images of this NHWC shape."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)
