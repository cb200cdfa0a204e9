"""Which way up an image is: what `keras_resnet.images.orientation_of` reads of a file, in TensorFlow's operations.

EXIF data of a JPEG, PNG or WebP file and, where these do not say, XMP data.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_resnet.images import INTEGER_BYTES, ORIENTATION

from .binary import Content, go_through, length, number, part, split, starts_with

# A file without these bytes has no note of its orientation. To look for them spares most files all that follows.
JPEG_MARKS = (rb"Exif\x00\x00", rb"tiff:Orientation")
PNG_MARKS = (rb"eXIf", rb"Raw profile type exif", rb"XML:com\.adobe\.xmp")
XMP_ORIENTATION = rb"(?s)^\C*?tiff:Orientation(?:=\"|>)([1-8])\C*$"
XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
PROFILE = "Raw profile type exif"  # ImageMagick's, in a PNG: three lines, then hexadecimal numbers
HEX_DIGITS = [int(chr(code), 16) if chr(code) in "0123456789abcdefABCDEF" else -1 for code in range(256)]


def has_any(content: Content, marks: Sequence[bytes]) -> Any:
    """Whether a file has one of these bytes somewhere: bool; takes tensors of any shape.

    RE2 replaces literal bytes ten times as fast as it matches them between others.
    """
    replaced = [tf.strings.regex_replace(content, mark, b"", replace_global=False) for mark in marks]
    shorter = [tf.strings.length(other) < tf.strings.length(content) for other in replaced]
    return tf.reduce_any(tf.stack(shorter), axis=0)


def turn(image: Any, code: Any) -> Any:
    """Turns pixels, (H, W, C), upright that are stored as EXIF's `code`, 1 to 8, says."""

    def is_one_of(*codes: int) -> Any:
        return tf.reduce_any(tf.equal(code, codes))

    image = tf.cond(is_one_of(5, 6, 7, 8), lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(is_one_of(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(is_one_of(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image)


def orientation(content: Content) -> Any:
    """Reads EXIF's number, 1 to 8, of a file: int64, ()."""
    none = tf.constant(b""), tf.constant(b"")
    exif, xmp = tf.case(
        [
            (tf.io.is_jpeg(content), lambda: notes_of_jpeg(content)),
            (starts_with(content, b"\x89PNG"), lambda: notes_of_png(content)),
            (tf.equal(part(content, 8, 8), b"WEBPVP8X"), lambda: notes_of_webp(content)),
        ],
        default=lambda: none,
    )
    by_exif = exif_orientation(exif)
    return tf.where(by_exif > 0, by_exif, xmp_orientation(xmp))


def exif_orientation(exif: Content) -> Any:
    """The orientation in EXIF data, 1 to 8, or 0: int64, ()."""
    exif = tf.strings.regex_replace(exif, rb"^(?:Exif\x00\x00)+", b"")
    big = starts_with(exif, b"MM")
    entries = number(exif, 4, 4, big) + 2
    stop = tf.minimum(entries + 12 * number(exif, entries - 2, 2, big), length(exif))

    def is_other(entry: Any) -> Any:
        return (entry < stop) & tf.not_equal(number(exif, entry, 2, big), ORIENTATION)

    [entry] = go_through(is_other, lambda entry: (entry + 12,), [entries])
    kind = number(exif, entry + 2, 2, big)
    sizes = [INTEGER_BYTES.get(code, 0) for code in range(max(INTEGER_BYTES) + 2)]  # 0 for all kinds that are no integers
    size = tf.gather(tf.constant(sizes, tf.int64), tf.minimum(kind, len(sizes) - 1))
    value = number(exif, entry + 8, size, big)
    return tf.where((entry < stop) & (value <= 8), value, 0)


def xmp_orientation(xmp: Content) -> Any:
    """The orientation in XMP data, 1 to 8, by default 1: int64, ()."""
    found = tf.strings.regex_full_match(xmp, XMP_ORIENTATION)
    return tf.strings.to_number(tf.where(found, tf.strings.regex_replace(xmp, XMP_ORIENTATION, rb"\1"), "1"), tf.int64)


def notes_of_jpeg(content: Content) -> tuple[Content, Content]:
    """EXIF and XMP data before the first scan, as Pillow finds them."""

    def step(at: Any, exif: Content, xmp: Content) -> tuple[Any, Content, Content]:
        marker, size = number(content, at + 1, 1), number(content, at + 2, 2, big_endian=True)
        stray = tf.not_equal(number(content, at, 1), 0xFF) | tf.equal(marker, 0xFF)  # junk, or padding
        bare = tf.equal(marker, 0) | ((marker >= 0xD0) & (marker <= 0xD9))  # markers without a body
        has_body = ~(stray | bare)
        body = part(content, at + 4, tf.where(has_body & tf.equal(marker, 0xE1), tf.maximum(size - 2, 0), 0))
        with_exif, with_xmp = starts_with(body, b"Exif\0\0"), starts_with(body, XMP_SEGMENT)
        more = tf.where(tf.equal(exif, b""), body, part(body, 6, size))  # where EXIF data are longer than a segment
        at += tf.where(has_body, 2 + size, tf.cast(tf.where(stray, 1, 2), tf.int64))
        at = tf.where(tf.equal(marker, 0xDA) & has_body, length(content), at)
        exif = tf.where(with_exif, tf.strings.join([exif, more]), exif)
        return at, exif, tf.where(with_xmp, part(body, len(XMP_SEGMENT), size), xmp)

    return walk(content, 2, step)


def notes_of_png(content: Content) -> tuple[Content, Content]:
    """EXIF and XMP data of whatever chunk Pillow finds them in, texts included."""

    def step(at: Any, exif: Content, xmp: Content) -> tuple[Any, Content, Content]:
        size, kind = number(content, at, 4, big_endian=True), part(content, at + 4, 4)
        body = part(content, at + 8, tf.where(tf.strings.regex_full_match(kind, "eXIf|tEXt|[zi]TXt"), size, 0))
        key, text = split(body, 2)
        of_profile, of_xmp = tf.equal(key, PROFILE), tf.equal(key, "XML:com.adobe.xmp")
        text = tf.cond(of_profile | of_xmp, lambda: png_text(kind, text), lambda: text)
        exif = tf.where(tf.equal(kind, "eXIf"), body, exif)
        exif = tf.cond(of_profile & tf.equal(exif, b""), lambda: profile_exif(text), lambda: exif)
        return (
            tf.where(tf.equal(kind, "IEND"), length(content), at + 12 + size),
            exif,
            tf.where(of_xmp, text, xmp),
        )

    return walk(content, 8, step)


def png_text(kind: Any, text: Content) -> Content:
    """The value of a text chunk, from what stands after its key; it may be compressed."""
    flag = part(text, 0, 1)
    translated = split(part(text, 2, length(text)), 3)[2]
    value = tf.where(tf.equal(kind, "iTXt"), translated, tf.where(tf.equal(kind, "zTXt"), part(text, 1, length(text)), text))
    compressed = tf.equal(kind, "zTXt") | (tf.equal(kind, "iTXt") & tf.not_equal(flag, b"\0"))
    return tf.cond(compressed, lambda: tf.io.decode_compressed(value, "ZLIB"), lambda: value)


def profile_exif(text: Content) -> Content:
    """EXIF data that are written in hexadecimal numbers; none where others stand among them."""
    digits = tf.strings.regex_replace(tf.strings.reduce_join(tf.strings.split(text, "\n")[3:]), r"\s", "")
    values = tf.gather(HEX_DIGITS, tf.cast(tf.io.decode_raw(digits, tf.uint8), tf.int32))
    whole = tf.equal(tf.size(values) % 2, 0) & tf.reduce_all(values >= 0)
    pairs = tf.reshape(tf.where(whole, values, tf.zeros_like(values))[: tf.size(values) // 2 * 2], (-1, 2))
    every_byte = tf.constant([bytes([code]) for code in range(256)])
    return tf.where(whole, tf.strings.reduce_join(tf.gather(every_byte, pairs[:, 0] * 16 + pairs[:, 1])), b"")


def notes_of_webp(content: Content) -> tuple[Content, Content]:
    """EXIF and XMP data of an extended WebP file."""

    def step(at: Any, exif: Content, xmp: Content) -> tuple[Any, Content, Content]:
        kind, size = part(content, at, 4), number(content, at + 4, 4)
        body = part(content, at + 8, tf.where(tf.equal(kind, "EXIF") | tf.equal(kind, "XMP "), size, 0))
        return (
            at + 8 + size + size % 2,
            tf.where(tf.equal(kind, "EXIF"), body, exif),
            tf.where(tf.equal(kind, "XMP "), body, xmp),
        )

    return walk(content, 12, step)


def walk(content: Content, start: int, step: Any) -> tuple[Content, Content]:
    """Goes through the parts of a file. `step` takes and returns a place, which grows, and the notes that were found."""
    first = tf.constant(start, tf.int64), tf.constant(b""), tf.constant(b"")
    _, exif, xmp = go_through(lambda at, *_: at < length(content), step, first)
    return exif, xmp
