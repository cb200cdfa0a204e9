"""Bytes of a file as TensorFlow's operations read them: whatever is asked for beyond the end is empty, and no error."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Content = Any  # a scalar string tensor, the bytes of a file
MAX_PARTS = 20_000  # of a file; a step takes TensorFlow some 20 us, and who sends a file chooses how many there are


def provided(condition: Any, value: Any) -> Any:
    """A tensor where the condition, bool (), holds. Raises where it does not."""
    with tf.control_dependencies([tf.debugging.Assert(condition, ["not read"])]):
        return tf.identity(value)


def go_through(condition: Callable[..., Any], step: Callable[..., Any], start: Sequence[Any]) -> list[Any]:
    """Runs `tf.while_loop` over the parts of a file. Raises for a file with too many."""
    ends = tf.while_loop(condition, step, tuple(start), maximum_iterations=MAX_PARTS)
    return [provided(~condition(*ends), end) for end in ends]


def length(content: Content) -> Any:
    """How many bytes: int64, ()."""
    return tf.cast(tf.strings.length(content), tf.int64)


def part(content: Content, start: Any, count: Any) -> Content:
    """Some of the bytes, as Python's `content[start : start + count]`."""
    start = tf.minimum(tf.cast(start, tf.int64), length(content))
    return tf.strings.substr(content, start, tf.cast(count, tf.int64))


@functools.partial(
    tf.function,
    input_signature=[*map(tf.TensorSpec, [()] * 4, (tf.string, tf.int64, tf.int64, tf.bool))],
    autograph=False,
)  # which the SavedModel has once, and not wherever it is called
def number(content: Content, start: Any, count: Any, big_endian: Any = False) -> Any:
    """An unsigned number of at most four bytes, as `int.from_bytes(content[start : start + count], order)`: int64, ()."""
    digits = tf.cast(tf.io.decode_raw(part(content, start, count), tf.uint8), tf.int64)
    digits = tf.where(big_endian, tf.reverse(digits, [0]), digits)
    return tf.reduce_sum(tf.bitwise.left_shift(digits, 8 * tf.range(tf.size(digits, out_type=tf.int64))))


def starts_with(content: Content, start: bytes) -> Any:
    """Whether the first bytes are these: bool; takes tensors of any shape."""
    return tf.equal(tf.strings.substr(content, 0, len(start)), start)


def split(content: Content, count: int) -> list[Any]:
    """The texts between the first zero bytes, as `content.split(b"\\0", count - 1)`, with empty ones for those that lack."""
    texts = tf.concat([tf.strings.split(content, "\0", maxsplit=count - 1), [""] * count], axis=0)
    return tf.unstack(texts[:count], num=count)
