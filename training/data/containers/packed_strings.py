"""Many short strings in one block of memory: as Python objects, the names of a million images would take 150 MB."""

import dataclasses
import functools
from array import array
from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np
import tensorflow as tf


class StringPacker:
    """Packs strings one by one."""

    def __init__(self) -> None:
        self._content, self._ends = bytearray(), array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, string: bytes) -> None:
        self._content += string
        self._ends.append(len(self._content))

    def packed(self) -> "PackedStrings":
        return PackedStrings(bytes(self._content), np.array(self._ends, np.int64))


@dataclasses.dataclass(frozen=True, eq=False)
class PackedStrings:
    """Strings of bytes, one after the other. content: all of them. ends: int64 (N,), where each ends."""

    content: bytes
    ends: np.ndarray

    @staticmethod
    def of(strings: Iterable[bytes]) -> "PackedStrings":
        """Packs strings, which may come from a generator."""
        packer = StringPacker()
        for string in strings:
            packer.append(string)
        return packer.packed()

    @classmethod
    def joined(cls, parts: "Iterable[PackedStrings]") -> Self:
        """Packs the strings of all parts, in their order."""
        parts = list(parts)
        starts = np.cumsum([0, *(len(part.content) for part in parts)])
        ends = [part.ends + start for part, start in zip(parts, starts, strict=False)]
        return cls(b"".join(part.content for part in parts), np.concatenate([np.empty(0, np.int64), *ends]))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[bytes]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> bytes:
        return self.content[self.ends[index - 1] if index else 0 : self.ends[index]]

    def lookup(self, index: tf.Tensor) -> tf.Tensor:
        """Adds to a graph what returns the string at `index`, an integer: a string scalar."""
        content, ends = self._tensors
        start = tf.where(index > 0, tf.gather(ends, tf.maximum(index - 1, 0)), 0)
        return tf.strings.substr(content, start, tf.gather(ends, index) - start)

    @functools.cached_property
    def _tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The content as a scalar, and the ends."""
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.content), tf.constant(self.ends)
