"""PyTorch's training, with as many images at a time as ours has."""

from ..pytorch import PyTorch as PyTorchBaseline

MAX_BYTES = 1_000_000_000


class PyTorch(PyTorchBaseline):
    max_bytes = MAX_BYTES
