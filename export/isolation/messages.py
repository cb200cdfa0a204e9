"""What goes through the pipes between a command and the process of an artifact: a line of JSON, and arrays after it."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

Message = dict[str, Any]
Arrays = Mapping[str, np.ndarray]


def send(stream: BinaryIO, message: Message, arrays: Arrays = MappingProxyType({})) -> None:
    """Writes a message, and the arrays of numbers that belong to it."""
    kinds = {name: [array.shape, array.dtype.str] for name, array in arrays.items()}
    stream.write(json.dumps({"message": message, "arrays": kinds}).encode() + b"\n")
    for array in arrays.values():
        stream.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, dict[str, np.ndarray]]:
    """Reads a message and its arrays.

    Raises:
        EOFError: The other process has ended, or closed the pipe.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    record = json.loads(line)
    return record["message"], {name: receive_array(stream, *kind) for name, kind in record["arrays"].items()}


def receive_array(stream: BinaryIO, shape: Sequence[int], dtype: str) -> np.ndarray:
    assert np.dtype(dtype).kind in "biuf", dtype
    array = np.empty(shape, dtype)
    content = array.reshape(-1).view(np.uint8)
    if stream.readinto(content.data) != content.nbytes:  # pyright: ignore[reportAttributeAccessIssue]
        raise EOFError
    return array
