"""Tensors in a file, by shape: they are read if the network can take them, whatever the file claims."""

import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from keras_resnet.errors import UserError

if TYPE_CHECKING:
    import keras

# A training program's file holds the network, its average and the optimizer's two moments, in double precision at the most.
MAX_COPIES, FREE_BYTES = 8, 256 << 20
BYTES = 4  # of a weight


class StoredTensor(NamedTuple):
    """A tensor in a file.

    Attributes:
        shape: its shape.
        read: reads it, contiguous.
        values: how many have to be decoded for it, which may be more than it has.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]
    values: int = 0


class SizeLimits(NamedTuple):
    """How much of a file may be read into memory.

    Attributes:
        tensor: values of one tensor.
        file: bytes of the file, and of what is unpacked from it.
    """

    tensor: float = math.inf
    file: float = math.inf

    @classmethod
    def of(cls, model: "keras.Model") -> Self:
        """What a network can take: no tensor that fits is larger than its largest."""
        sizes = [math.prod(weight.shape) for weight in model.weights]
        return cls(max(sizes), MAX_COPIES * BYTES * sum(sizes) + FREE_BYTES)

    def check_file(self, path: str) -> None:
        """Raises a `UserError` for a file that is larger than any that holds the network's weights."""
        if (size := os.path.getsize(path)) > self.file:
            raise UserError(f"{path} has {size:,} bytes; files with this network's weights have at most {int(self.file):,}")


UNLIMITED = SizeLimits()


def read_tensors(stored: Mapping[str, StoredTensor], limits: SizeLimits) -> dict[str, np.ndarray]:
    """Reads the tensors that a network may take; the others come as `stand_in`, since their shapes tell that they do not fit.

    If those that it may take are more than a file has room for, none is read.
    """
    wanted = {name for name, tensor in stored.items() if max(tensor.values, math.prod(tensor.shape)) <= limits.tensor}
    if sum(math.prod(stored[name].shape) for name in wanted) * BYTES > limits.file:
        wanted = set()
    return {name: tensor.read() if name in wanted else stand_in(tensor.shape) for name, tensor in stored.items()}


def stand_in(shape: tuple[int, ...]) -> np.ndarray:
    """An array that has a shape, but takes no memory."""
    return np.broadcast_to(np.float32(np.nan), shape)


def is_stand_in(array: np.ndarray) -> bool:
    """Whether an array was not read. Those that were are contiguous."""
    return array.size > 1 and not any(array.strides)
