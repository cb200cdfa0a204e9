"""Whether TensorFlow decodes an image's bytes to the same pixels as `keras_resnet.images`: decided inside a graph.

An answer of no may be wrong, and costs the time of decoding in Python. An answer of yes is wrong only for files damaged
between their start and their end, which TensorFlow refuses.
"""

import tensorflow as tf

START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # second bytes of a JPEG's markers: frames that TensorFlow decodes
BEFORE_FRAME = (0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE)  # tables, notes of applications, comments
EXIF_OR_XMP = 0xE1
SEGMENT_HEAD = 10  # bytes: the marker, the length, and "Exif\0\0" or the frame's precision, height, width and components
TABLES = 1000  # bytes after the start of a frame in which its scan has to start; the usual tables take 450
IFD_ENTRY, MAX_ENTRIES = 12, 64  # bytes of an entry of EXIF; how many there may be
ORIENTATION, SHORT, UPRIGHT = 0x0112, 3, 1

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
PNG_COLORS = (0, 2, 6)  # gray, RGB, RGBA
HARMLESS_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"hIST", b"pHYs", b"tIME")


def is_plain_jpeg(content: tf.Tensor) -> tf.Tensor:
    """Whether bytes, a string scalar, are a whole JPEG in Huffman codes, gray or YCbCr with 8 bits, that stands upright."""
    length = tf.strings.length(content)
    whole = (length > 2 * SEGMENT_HEAD) & (tf.strings.substr(content, tf.maximum(length - 2, 0), 2) == END_OF_IMAGE)
    whole &= tf.strings.substr(content, 0, 2) == START_OF_IMAGE
    return tf.cond(whole, lambda: _has_plain_segments(content, length), lambda: tf.constant(False))


def _has_plain_segments(content: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Goes from segment to segment up to the frame."""

    def head(start: tf.Tensor) -> tf.Tensor:
        return _bytes(content, tf.minimum(start, length - SEGMENT_HEAD), SEGMENT_HEAD)

    def is_before_frame(start: tf.Tensor, exif: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        found = head(start)
        return (start + SEGMENT_HEAD <= length) & (found[0] == 0xFF) & tf.reduce_any(found[1] == BEFORE_FRAME)

    def next_segment(start: tf.Tensor, exif: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, ...]:
        found = head(start)
        noted = found[1] == EXIF_OR_XMP
        is_exif = noted & (exif == 0) & tf.reduce_all(found[4:] == tuple(b"Exif\0\0"))
        return start + 2 + _number(found[2:4], 2), tf.where(is_exif, start, exif), other | (noted & ~is_exif)

    state = (tf.constant(2), tf.constant(0), tf.constant(False))
    start, exif, other = tf.while_loop(is_before_frame, next_segment, state, parallel_iterations=1)
    frame, inside = head(start), start + SEGMENT_HEAD <= length
    plain = inside & (frame[0] == 0xFF) & tf.reduce_any(frame[1] == HUFFMAN_FRAMES) & (frame[4] == 8)
    plain &= (frame[9] == 1) | (frame[9] == 3)
    # A note of an application may also come after the frame, before its scan.
    after = _bytes(content, tf.minimum(start, length), TABLES)
    marked, codes = after[:-1] == 0xFF, after[1:]
    plain &= tf.reduce_any(marked & (codes == 0xDA)) & ~tf.reduce_any(marked & (codes >= 0xE0) & (codes < 0xFF))
    return plain & tf.cond(exif > 0, lambda: _is_upright(content, length, exif, other), lambda: ~other)


def _is_upright(content: tf.Tensor, length: tf.Tensor, segment: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Whether the EXIF data in a segment says so, or says nothing and there is no `other` note that might (XMP)."""
    first = segment + SEGMENT_HEAD  # the byte order, 42, the place of the first directory
    head = _bytes(content, tf.minimum(first, length - 8), 8)
    end = tf.minimum(first - SEGMENT_HEAD + 2 + _number(_bytes(content, segment + 2, 2), 2), length)
    big = tf.reduce_all(head[:2] == tuple(b"MM"))
    ordered = big | tf.reduce_all(head[:2] == tuple(b"II"))
    place = _number(tf.where(big, head[4:], head[:3:-1]), 4)
    directory = first + place
    known = ordered & (first + 8 <= end) & (place >= 8) & (place < 2**16) & (directory + 2 <= end)
    directory = tf.where(known, directory, 0)
    count = _bytes(content, directory, 2)
    count = _number(tf.where(big, count, count[::-1]), 2)
    known &= (count <= MAX_ENTRIES) & (directory + 2 + count * IFD_ENTRY <= end)
    count = tf.where(known, count, 0)
    entries = tf.reshape(_bytes(content, directory + 2, count * IFD_ENTRY), [count, IFD_ENTRY])
    high, low = tf.where(big, entries[:, ::2], entries[:, 1::2]), tf.where(big, entries[:, 1::2], entries[:, ::2])
    shorts = high * 256 + low  # columns: tag, type, two of the count, the value, unused
    is_orientation = shorts[:, 0] == ORIENTATION
    upright = (shorts[:, 1] == SHORT) & (shorts[:, 4] == UPRIGHT)
    return known & tf.reduce_all(~is_orientation | upright) & (tf.reduce_any(is_orientation) | ~other)


def is_plain_png(content: tf.Tensor, channels: int) -> tf.Tensor:
    """Whether bytes, a string scalar, are a whole PNG of 8 bits, without a palette, notes or transparent colors.

    channels: That it is to be decoded to. TensorFlow converts colors to gray in another way.
    """
    length = tf.strings.length(content)
    whole = (length > len(PNG_SIGNATURE) + len(PNG_END)) & (tf.strings.substr(content, 0, len(PNG_SIGNATURE)) == PNG_SIGNATURE)
    whole &= tf.strings.substr(content, tf.maximum(length - len(PNG_END), 0), len(PNG_END)) == PNG_END
    return tf.cond(whole, lambda: _has_plain_chunks(content, length, channels), lambda: tf.constant(False))


def _has_plain_chunks(content: tf.Tensor, length: tf.Tensor, channels: int) -> tf.Tensor:
    """Goes from chunk to chunk, up to the end."""

    def is_harmless(start: tf.Tensor) -> tf.Tensor:
        kind = tf.strings.substr(content, tf.clip_by_value(start + 4, 0, length), 4)
        return (start >= 8) & (start + 12 <= length) & tf.reduce_any(kind == HARMLESS_CHUNKS)

    def next_chunk(start: tf.Tensor) -> tuple[tf.Tensor]:
        return (start + 12 + _number(_bytes(content, start, 4), 4),)

    (start,) = tf.while_loop(is_harmless, next_chunk, (tf.constant(8),), parallel_iterations=1)
    bits, color = tf.unstack(tf.ensure_shape(_bytes(content, 24, 2), (2,)))
    colors = PNG_COLORS[:1] if channels == 1 else PNG_COLORS
    return (start == length - len(PNG_END)) & (bits == 8) & tf.reduce_any(color == colors)


def _bytes(content: tf.Tensor, start: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """Cuts bytes out of a string scalar: int32 (`count`,), or fewer at its end."""
    return tf.cast(tf.io.decode_raw(tf.strings.substr(content, start, count), tf.uint8), tf.int32)


def _number(digits: tf.Tensor, count: int) -> tf.Tensor:
    """Returns what 2 or 4 bytes, int32, say as a number, the highest byte first; numbers from 2**31 on are negative."""
    digits = tf.ensure_shape(digits, (count,))
    return tf.reduce_sum(digits * (256, 1)) if count == 2 else tf.reduce_sum(digits * (2**24, 2**16, 256, 1))
