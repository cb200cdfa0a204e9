"""Random images, in place of a data set."""

import dataclasses
import math

import numpy as np

from .config import BenchmarkConfig

MAX_BYTES = 200_000_000  # of images at a time
DEVICE_BYTES = 1_000_000_000  # the same where epochs are to take seconds on a GPU


@dataclasses.dataclass(frozen=True)
class SyntheticData:
    """images: uint8 (N, H, W, 3). labels: (N,). epochs: passes over them that a measurement takes. steps: in all of these."""

    images: np.ndarray
    labels: np.ndarray
    epochs: int
    steps: int


def synthetic_data(
    config: BenchmarkConfig, steps: int, bytes_per_value: int = 4, max_bytes: int | None = None
) -> SyntheticData:
    """Returns enough for at least `steps` steps, in several passes where they would not fit into `max_bytes`.

    The pixels are 0, 1 and 2: raw for our pipeline, and about as wide as normalized ones for a network.
    """
    bytes_per_step = config.batch_size * math.prod(config.input_shape) * bytes_per_value
    max_steps = max(1, (max_bytes or MAX_BYTES) // bytes_per_step)
    epochs = math.ceil(steps / max_steps)
    steps_per_epoch = math.ceil(steps / epochs)
    count = steps_per_epoch * config.batch_size
    rng = np.random.default_rng(0)
    images = rng.integers(0, 3, (count, *config.input_shape), np.uint8)
    labels = rng.integers(0, config.family.classes, count)
    return SyntheticData(images, labels, epochs, epochs * steps_per_epoch)
