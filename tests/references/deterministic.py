"""Weights and images that a test and the scripts here both compute, so that the reference files need not hold them."""

import math
import re
import zlib

import numpy as np

GAIN = 0.7  # keeps the logits of a hundred layers of such weights below 1e5


def tensor(name, shape):
    """The values of the tensor that its library calls `name`: drawn from a generator that the name alone seeds.

    PyTorch's kernels are (out, in, ...) and called "weight"; Keras' and TF-Slim's are (..., in, out), "kernel" and "weights".
    """
    last = re.split(r"[./]", name)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    rng = np.random.RandomState(zlib.crc32(name.encode()))  # a stream that NumPy never changes
    if last in ("running_var", "moving_variance") or (last in ("weight", "gamma") and len(shape) == 1):
        values = rng.uniform(0.5, 1.5, shape)
    elif last in ("running_mean", "moving_mean", "bias", "biases", "beta"):
        values = rng.normal(0, 0.2, shape)
    elif last in ("weight", "kernel", "weights"):
        inputs = math.prod(shape[1:] if last == "weight" else shape[:-1])
        values = rng.normal(0, GAIN * math.sqrt(2 / inputs), shape)
    else:
        raise ValueError(f"no rule for a tensor named {name!r}")
    return values.astype(np.float32)


def images(shape, seed=0):
    """Standard normal images of this NHWC shape."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)
