"""Catches files left to TensorFlow that it decodes to other pixels than Pillow, and usual ones that are not left to it."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from life import pictures

from keras_resnet.preprocessing import open_image
from keras_resnet.training.data.decoding.plain_images import WINDOW, is_plain_jpeg, is_plain_png

PLAIN_JPEG = tf.function(is_plain_jpeg, input_signature=[tf.TensorSpec((), tf.string)])
PNG_IN_COLOR = tf.function(lambda content: is_plain_png(content, 3), input_signature=[tf.TensorSpec((), tf.string)])
PNG_IN_GRAY = tf.function(lambda content: is_plain_png(content, 1), input_signature=[tf.TensorSpec((), tf.string)])


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segments(*segments: bytes, jpeg: bytes | None = None) -> bytes:
    """A JPEG with segments after the one that begins all."""
    jpeg = pictures.noisy_jpeg() if jpeg is None else jpeg
    assert jpeg[2:4] == b"\xff\xe0"
    behind = 4 + int.from_bytes(jpeg[4:6])
    return jpeg[:behind] + b"".join(segments) + jpeg[behind:]


def before_scan(jpeg: bytes, *segments: bytes) -> bytes:
    scan = jpeg.index(b"\xff\xda")
    return jpeg[:scan] + b"".join(segments) + jpeg[scan:]


def xmp(number: int) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + f'<x tiff:Orientation="{number}"/>'.encode())


def exif(*entries, order: str = "<") -> bytes:
    return segment(0xE1, pictures.exif(*entries, order=order))


UPRIGHT, SIDEWAYS = pictures.orientation(1), pictures.orientation(6)
MAKER = (0x010F, 2, 4, b"abc\0")
EMBEDDED = pictures.jpeg()  # a thumbnail
PLAIN = {
    "jfif": pictures.noisy_jpeg(),
    "progressive": pictures.saved("JPEG", progressive=True, quality=95),
    "gray": pictures.saved("JPEG", "L", quality=95),
    "profile": with_segments(segment(0xE2, b"ICC_PROFILE\0" + bytes(WINDOW))),
    "comment": with_segments(segment(0xFE, b"hello")),
    "photoshop": with_segments(segment(0xED, b"Photoshop 3.0\0" + EMBEDDED)),
    "exif": with_segments(exif(UPRIGHT, MAKER)),
    "big endian": with_segments(exif(MAKER, pictures.orientation(1, ">"), order=">")),
    "exif without orientation": with_segments(exif(MAKER)),
    "exif and another orientation in xmp, which does not count": with_segments(exif(UPRIGHT), xmp(6)),
    "thumbnail": with_segments(segment(0xE1, pictures.exif(UPRIGHT) + EMBEDDED)),
    "maker in exif whose bytes look like an orientation": with_segments(exif(UPRIGHT, (0x927C, 7, 4, b"\x12\1\3\0"))),
}
NOT_PLAIN = {
    "sideways": with_segments(exif(SIDEWAYS)),
    "sideways in big endian": with_segments(exif(pictures.orientation(6, ">"), order=">")),
    "sideways in xmp": with_segments(xmp(6)),
    "sideways in xmp after exif": with_segments(exif(MAKER), xmp(6)),
    "sideways in exif after xmp": with_segments(xmp(1), exif(SIDEWAYS)),
    "sideways, said after the tables": before_scan(pictures.noisy_jpeg(), exif(SIDEWAYS)),
    "sideways, said far behind": before_scan(pictures.noisy_jpeg(), segment(0xFE, b"\xff\xda" * WINDOW), exif(SIDEWAYS)),
    "sideways, far behind": with_segments(*[segment(0xFE, bytes(60000))] * 3, exif(SIDEWAYS)),
    "sideways, after many": with_segments(*[segment(0xFE, b"x")] * 40, exif(SIDEWAYS)),
    "sideways in bytes": with_segments(exif((0x0112, 1, 1, b"\6\0\0\0"))),
    "cmyk": pictures.saved("JPEG", "CMYK", quality=95),
    "cmyk with a thumbnail": with_segments(
        segment(0xE1, pictures.exif(UPRIGHT) + EMBEDDED),
        jpeg=b"\xff\xd8" + segment(0xE0, b"JFIF\0") + pictures.saved("JPEG", "CMYK")[2:],
    ),
    "arithmetic": pictures.arithmetic_frame(),
    "twelve bits": pictures.twelve_bit_jpeg(),
    "cut": pictures.noisy_jpeg()[:2000],
    "cut in its head": pictures.noisy_jpeg()[:300],
    "a start and an end": b"\xff\xd8\xff\xd9",
    "a circle of segments": b"\xff\xd8" + b"\xff\xe0\0\0" * 9 + b"\xff\xe0\xff\xe0\0\0\0\0\xff\xd9",
    "empty": b"",
    "png": pictures.saved("PNG"),
}


def decoded(content: bytes, channels: int) -> np.ndarray:
    if content.startswith(pictures.PNG_SIGNATURE):
        return tf.io.decode_png(content, channels).numpy()
    return tf.io.decode_jpeg(content, channels, dct_method="INTEGER_ACCURATE").numpy()


@pytest.mark.parametrize("name", PLAIN)
def test_usual_jpegs_are_plain_and_have_the_same_pixels(name):
    assert PLAIN_JPEG(PLAIN[name])
    expected = np.asarray(open_image(io.BytesIO(PLAIN[name]), 3, name))
    found = decoded(PLAIN[name], 3)
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_a_jpeg_that_tensorflow_would_show_otherwise_is_not_plain(name):
    assert not PLAIN_JPEG(NOT_PLAIN[name])


@pytest.mark.parametrize("name", pictures.FORMS)
def test_no_odd_file_is_plain_and_has_other_pixels(name):
    """What TensorFlow refuses is tried again by Pillow."""
    content = pictures.FORMS[name]()
    for is_plain, channels in ((PLAIN_JPEG, 3), (PNG_IN_COLOR, 3), (PNG_IN_GRAY, 1)):
        if not is_plain(content):
            continue
        try:
            found = decoded(content, channels)
        except tf.errors.InvalidArgumentError:
            continue
        expected = np.asarray(open_image(io.BytesIO(content), channels, name)).reshape(found.shape)
        assert np.abs(found.astype(int) - expected).max() <= 2


def test_which_pngs_are_plain():
    color, gray, alpha = pictures.saved("PNG"), pictures.saved("PNG", "L"), pictures.FORMS["alpha.png"]()
    assert [bool(PNG_IN_COLOR(content)) for content in (color, gray, alpha)] == [True, True, True]
    assert [bool(PNG_IN_GRAY(content)) for content in (color, gray, alpha)] == [False, True, False]
    late = color[:-12] + pictures.chunk(b"eXIf", pictures.exif(SIDEWAYS)[6:]) + color[-12:]
    text = color[:33] + pictures.chunk(b"tEXt", b"Raw profile type exif\0") + color[33:]
    transparent = color[:33] + pictures.chunk(b"tRNS", bytes(6)) + color[33:]
    overflowing = color[:33] + b"\x7f\xff\xff\xffIDAT" + color[33:]
    negative = color[:33] + b"\xff\xff\xff\xf0IDAT" + color[33:]
    for content in (late, text, transparent, overflowing, negative, color[:-1], color[:40], b"", pictures.noisy_jpeg()):
        assert not PNG_IN_COLOR(content)
