"""Files that are read from any place: the part that `io` asks for and that does not depend on where the bytes are."""

import io
import os
from abc import abstractmethod
from typing import Any


class PositionedFile(io.RawIOBase):
    """A file for reading, of `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._position = size, 0

    @abstractmethod
    def read_at(self, position: int, count: int) -> bytes:
        """Returns up to `count` bytes from a place on."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        wanted = max(min(len(buffer), self._size - self._position), 0)
        piece = self.read_at(self._position, wanted) if wanted else b""
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
