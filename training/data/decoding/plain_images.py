"""Whether TensorFlow decodes an image's bytes to the same pixels as `keras_resnet.images`: decided inside a graph.

An answer of no may be wrong, and costs the time of decoding in Python. An answer of yes is wrong only for files that are
damaged between their start and their end; TensorFlow refuses those of which it misses a part.
"""

import numpy as np
import tensorflow as tf

from keras_resnet.images import LARGE

START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
HUFFMAN_FRAMES = (0xFFC0, 0xFFC1, 0xFFC2)  # markers of the frames that TensorFlow decodes
BEFORE_FRAME = (0xFFC4, 0xFFDB, 0xFFDD, *range(0xFFE0, 0xFFF0), 0xFFFE)  # tables, notes of applications, comments
IS_BEFORE_FRAME = np.isin(np.arange(2**16), BEFORE_FRAME)
WINDOW = 700  # bytes in which most JPEGs have all that comes before their scan
PLACES = np.arange(WINDOW - 3, dtype=np.int32)
NOTE, SCAN = 0xFFE1, 0xFFDA  # markers of EXIF or XMP, and of the pixels' codes
FRAME = 10  # bytes of a frame's head
EXIF_HEAD = 18  # bytes: marker, length, "Exif\0\0", byte order, 42, the place of the first directory
IFD_ENTRY, MAX_ENTRIES = 12, 64  # bytes of an entry; how many there may be
ORIENTATION, SHORT, UPRIGHT = 0x0112, 3, 1

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
PNG_HEADER = 33  # bytes of the signature and of the chunk that says what the pixels are
GRAY, COLORS = 0, (0, 2, 6)  # gray, RGB, RGBA
HARMLESS_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"hIST", b"pHYs", b"tIME")


def is_plain_jpeg(content: tf.Tensor) -> tf.Tensor:
    """Whether bytes, a string scalar, are a whole JPEG in Huffman codes, gray or YCbCr with 8 bits, that stands upright."""
    is_simple = sides_of_simple_jpegs(content[tf.newaxis])[0, 0] > 0
    return is_simple | is_plain_jpeg_with_notes(content)


def is_plain_jpeg_with_notes(content: tf.Tensor) -> tf.Tensor:
    """The same, but slower, and even if notes come before the pixels, or much else."""
    length = tf.strings.length(content)
    return tf.cond(_are_whole(content), lambda: _has_plain_segments(content, length), lambda: tf.constant(False))


def _are_whole(contents: tf.Tensor) -> tf.Tensor:
    """Whether bytes, strings (...), begin and end as JPEGs do: bool (...)."""
    length = tf.strings.length(contents)
    begin, end = tf.zeros_like(length), tf.maximum(length - 2, 0)
    two = tf.fill(tf.shape(length), 2)
    ends = [tf.strings.substr(contents, begin, two), tf.strings.substr(contents, end, two)]
    return (length > EXIF_HEAD) & (tf.strings.join(ends) == START_OF_IMAGE + END_OF_IMAGE)


def sides_of_simple_jpegs(contents: tf.Tensor) -> tf.Tensor:
    """Returns height and width of those files that are whole plain JPEGs by their first bytes alone, as most are, else (0, 0).

    There is nothing in these bytes that may be a note, and they lead to a plain frame. For many at once this is much the
    fastest: strings (N,) -> int32 (N, 2).
    """
    filled = tf.strings.join([tf.strings.substr(contents, 0, WINDOW), bytes(WINDOW)])
    window = tf.ensure_shape(_bytes(tf.strings.substr(filled, 0, WINDOW)), (None, WINDOW))
    shorts = window[:, :-1] * 256 + window[:, 1:]
    markers, sizes = shorts[:, :-2], shorts[:, 2:]
    following = tf.where(tf.gather(IS_BEFORE_FRAME, markers), tf.minimum(PLACES + 2 + sizes, PLACES[-1]), PLACES)
    for _ in range(4):
        following = tf.gather(following, following, batch_dims=1)  # the segment after two, four, eight, sixteen segments
    start = following[:, len(START_OF_IMAGE)]
    end = _at(following, tf.minimum(start + 2 + _at(sizes, start), PLACES[-1]))
    led = (start < WINDOW - FRAME) & (end < PLACES[-1]) & (_at(markers, end) == SCAN) & ~tf.reduce_any(markers == NOTE, 1)
    sides = _sides_of_frames(tf.strings.substr(filled, start, tf.fill(tf.shape(start), FRAME)))
    return tf.where(tf.expand_dims(led & _are_whole(contents), 1), sides, 0)


def _at(rows: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Takes one value of each row: (N, K), int32 (N,) -> (N,)."""
    return tf.gather(rows, places, batch_dims=1)


def _sides_of_frames(heads: tf.Tensor) -> tf.Tensor:
    """Returns height and width of plain JPEGs by the starts of their frames, strings (...), else (0, 0): int32 (..., 2)."""
    high, low, _, _, bits, tall, height, wide, width, components = tf.unstack(_bytes(heads), FRAME, axis=-1)
    marker, height, width = 256 * high + low, 256 * tall + height, 256 * wide + width
    plain = (
        tf.reduce_any(tf.expand_dims(marker, -1) == HUFFMAN_FRAMES, -1) & (bits == 8) & ((components == 1) | (components == 3))
    )
    plain &= (height > 0) & (width > 0) & (height <= LARGE // tf.maximum(width, 1))
    return tf.where(tf.expand_dims(plain, -1), tf.stack([height, width], -1), 0)


def _has_plain_segments(content: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Goes from segment to segment up to the scan, and takes note of the frame and of the notes on the way."""
    last = length - FRAME

    def is_before_scan(start: tf.Tensor, marker: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
        return (start < last) & (tf.gather(IS_BEFORE_FRAME, marker) | tf.reduce_any(marker == HUFFMAN_FRAMES))

    def next_segment(
        start: tf.Tensor, marker: tf.Tensor, size: tf.Tensor, frame: tf.Tensor, notes: tf.Tensor, first: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        is_note = marker == NOTE
        frame = tf.where(tf.reduce_any(marker == HUFFMAN_FRAMES), start, frame)
        first = tf.where(is_note, tf.minimum(first, start), first)
        start = tf.minimum(start + 2 + size, last)
        return start, *_shorts(content, start, 2), frame, notes + tf.cast(is_note, tf.int32), first

    start = tf.constant(len(START_OF_IMAGE))
    state = (start, *_shorts(content, start, 2), tf.constant(0), tf.constant(0), length)
    _, marker, _, frame, notes, first = tf.while_loop(is_before_scan, next_segment, state, parallel_iterations=1)
    plain = (marker == SCAN) & (_sides_of_frames(tf.strings.substr(content, frame, FRAME))[0] > 0)
    return plain & tf.cond(notes > 0, lambda: _is_upright(content, length, first, notes > 1), lambda: tf.constant(True))


def _is_upright(content: tf.Tensor, length: tf.Tensor, segment: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Whether a segment is EXIF data that says so; or says nothing of it, and there are no `others` that might (XMP)."""
    end = tf.minimum(segment + 2 + _shorts(content, segment + 2, 1)[0], length)
    known = (segment + EXIF_HEAD <= end) & (tf.strings.substr(content, segment + 4, 6) == b"Exif\0\0")
    first = segment + 10
    order = tf.strings.substr(content, first, 4)
    big = order == b"MM\0*"
    known &= big | (order == b"II*\0")
    place = _bytes(tf.strings.substr(content, tf.minimum(first + 4, length - 4), 4))
    place = tf.tensordot(tf.where(big, place, place[::-1]), (2**24, 2**16, 2**8, 1), 1)
    known &= (place >= 8) & (place < 2**16) & (first + place + 2 <= end)
    entries = tf.where(known, first + place + 2, 2)
    high, low = tf.unstack(tf.ensure_shape(_bytes(tf.strings.substr(content, entries - 2, 2)), (2,)))
    count = tf.where(big, high * 256 + low, low * 256 + high)
    known &= (count <= MAX_ENTRIES) & (entries + count * IFD_ENTRY <= end)
    found = tf.reshape(_bytes(tf.strings.substr(content, entries, tf.where(known, count, 0) * IFD_ENTRY)), [-1, IFD_ENTRY])
    high, low = tf.where(big, found[:, ::2], found[:, 1::2]), tf.where(big, found[:, 1::2], found[:, ::2])
    shorts = high * 256 + low  # columns: the tag, the type, two of the count, the value, and one that is not used
    is_orientation = shorts[:, 0] == ORIENTATION
    upright = (shorts[:, 1] == SHORT) & (shorts[:, 4] == UPRIGHT)
    return (
        known
        & tf.reduce_all(tf.logical_not(is_orientation) | upright)
        & (tf.reduce_any(is_orientation) | tf.logical_not(others))
    )


def is_plain_png(content: tf.Tensor, channels: int) -> tf.Tensor:
    """Whether bytes, a string scalar, are a whole PNG of 8 bits, without a palette, notes or transparent colors.

    channels: That it is to be decoded to. TensorFlow converts colors to gray in another way.
    """
    length = tf.strings.length(content)
    whole = (length > PNG_HEADER) & (tf.strings.substr(content, 0, len(PNG_SIGNATURE)) == PNG_SIGNATURE)
    whole &= tf.strings.substr(content, tf.maximum(length - len(PNG_END), 0), len(PNG_END)) == PNG_END
    return tf.cond(whole, lambda: _has_plain_chunks(content, length, channels), lambda: tf.constant(False))


def _has_plain_chunks(content: tf.Tensor, length: tf.Tensor, channels: int) -> tf.Tensor:
    """Goes from chunk to chunk, up to the end."""
    last = length - len(PNG_END)

    def is_harmless(start: tf.Tensor) -> tf.Tensor:
        return (start < last) & tf.reduce_any(tf.strings.substr(content, start + 4, 4) == HARMLESS_CHUNKS)

    def next_chunk(start: tf.Tensor) -> tuple[tf.Tensor]:
        high, low = _shorts(content, start, 2)
        small = high < 2**12  # which also holds off what would overflow
        return (tf.where(small, tf.minimum(start + 12 + high * 2**16 + low, last + 1), last + 1),)

    (start,) = tf.while_loop(is_harmless, next_chunk, (tf.constant(len(PNG_SIGNATURE)),), parallel_iterations=1)
    wide, width, tall, height = _shorts(content, 16, 4)
    bits, color = tf.unstack(tf.ensure_shape(_bytes(tf.strings.substr(content, 24, 2)), (2,)))
    plain = (start == last) & (tf.strings.substr(content, 12, 4) == b"IHDR") & (bits == 8)
    plain &= (wide == 0) & (tall == 0) & (height > 0) & (width > 0) & (height <= LARGE // tf.maximum(width, 1))
    return plain & (color == GRAY if channels == 1 else tf.reduce_any(color == COLORS))


def _bytes(contents: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of strings (...) that are of one length: int32 (..., length)."""
    return tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int32)


def _shorts(content: tf.Tensor, start: tf.Tensor | int, count: int) -> list[tf.Tensor]:
    """Reads numbers of two bytes, the higher one first, out of a string scalar that has all of them: int32 scalars."""
    found = tf.io.decode_raw(tf.strings.substr(content, start, 2 * count), tf.uint16, little_endian=False)
    return tf.unstack(tf.cast(found, tf.int32), count)
