"""What goes through the pipes between a command and the process of an artifact: a line of JSON, and an array after it."""

import json
from typing import Any, BinaryIO

import numpy as np

Message = dict[str, Any]


def send(stream: BinaryIO, message: Message, array: np.ndarray | None = None) -> None:
    """Writes a message, and an array of numbers that belongs to it."""
    if array is not None:
        message = {**message, "shape": array.shape, "dtype": array.dtype.str}
    stream.write(json.dumps(message).encode() + b"\n")
    if array is not None:
        stream.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, np.ndarray | None]:
    """Reads a message and its array, if it has one.

    Raises:
        EOFError: The other process has ended, or closed the pipe.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    message: Message = json.loads(line)
    if "shape" not in message:
        return message, None
    dtype = np.dtype(message["dtype"])
    assert dtype.kind in "biuf", dtype
    array = np.empty(message["shape"], dtype)
    content = array.reshape(-1).view(np.uint8)
    if stream.readinto(content.data) != content.nbytes:  # pyright: ignore[reportAttributeAccessIssue]
        raise EOFError
    return message, array
