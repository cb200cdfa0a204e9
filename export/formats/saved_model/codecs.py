"""Image files to RGB, in TensorFlow's operations, to the last bit as Pillow decodes them.

Each function takes a scalar string, the bytes of a file, and returns uint8 (H, W, 3), or raises. What TensorFlow's decoders see
otherwise than Pillow does is rewritten before, or put right after.
"""

from typing import Any

import tensorflow as tf

from keras_resnet.images import MAX_PIXELS

from .binary import Content, go_through, length, number, part, provided, starts_with
from .orientation import JPEG_MARKS, PNG_MARKS, has_any, orientation, turn

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
INKS = 4  # channels of a JPEG for print
# Says that the four channels are as Adobe writes them, inverted, which Pillow assumes of all and TensorFlow where it is said.
ADOBE_SEGMENT = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
BITFIELDS_OF_BGRA = b"\x00\x00\xff\x00\x00\xff\x00\x00\xff\x00\x00\x00"


def may_be_plain(contents: Any) -> Any:
    """Whether `decode_plain` may read files, string (N,): JPEG and PNG files, those aside that say how they are turned."""
    return (starts_with(contents, JPEG) | starts_with(contents, PNG)) & ~has_any(contents, JPEG_MARKS)


def decode_plain(content: Content) -> Any:
    """Decodes a file that `may_be_plain`, if TensorFlow reads it as Pillow does. Raises for others."""

    def jpeg() -> Any:
        height, width, channels = tf.unstack(tf.cast(tf.io.extract_jpeg_shape(content), tf.int64))
        return decode_rgb_jpeg(provided((channels < INKS) & (height * width <= MAX_PIXELS), content))

    def png() -> Any:
        return limited(tf.io.decode_png(provided(~has_any(content, PNG_MARKS), content), channels=3))

    return tf.ensure_shape(tf.cond(tf.io.is_jpeg(content), jpeg, png), (None, None, 3))


def decode_upright(content: Content) -> Any:
    """Decodes the first frame of a JPEG, PNG, GIF, WebP or BMP file, and turns it upright."""
    kinds = [
        (tf.io.is_jpeg(content), lambda: decode_jpeg(content)),
        (starts_with(content, PNG), lambda: tf.io.decode_png(content, channels=3)),
        (starts_with(content, b"GIF8"), lambda: decode_gif(content)),
        (tf.equal(part(content, 8, 4), b"WEBP") & starts_with(content, b"RIFF"), lambda: decode_webp(content)),
        (starts_with(content, b"BM"), lambda: decode_bmp(content)),
    ]
    image = limited(tf.case(kinds, default=lambda: provided(False, tf.zeros((1, 1, 3), tf.uint8))))
    return turn(image, orientation(content))


def limited(image: Any) -> Any:
    """Raises for an image of more pixels than evaluation reads."""
    image = tf.ensure_shape(image, (None, None, 3))
    height, width, _ = tf.unstack(tf.shape(image, out_type=tf.int64))
    return provided(height * width <= MAX_PIXELS, image)


def on_canvas(image: Any, height: Any, width: Any, top: Any, left: Any, color: Any) -> Any:
    """Puts a frame, uint8 (h, w, 3), on a canvas of one color, uint8 (3,): uint8 (height, width, 3)."""
    shape = tf.shape(image, out_type=tf.int64)
    edges = [[top, height - top - shape[0]], [left, width - left - shape[1]], [0, 0]]
    edges = provided(height * width <= MAX_PIXELS, tf.cast(edges, tf.int64))
    color = tf.cast(color, tf.int32)
    return tf.cast(tf.pad(tf.cast(image, tf.int32) - color, edges) + color, tf.uint8)  # what is padded is 0 before the sum


def decode_rgb_jpeg(content: Content) -> Any:
    """With the slower of libjpeg's inverse transforms, which is Pillow's."""
    return tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")


def decode_jpeg(content: Content) -> Any:
    """Also of four inks, which differ from Pillow's by up to one level of 255: TensorFlow truncates where Pillow rounds."""

    def with_adobe_segment() -> Content:  # in front; if the file has its own, the last one counts
        return tf.strings.join([part(content, 0, 2), ADOBE_SEGMENT, part(content, 2, length(content))])

    inks = tf.equal(tf.io.extract_jpeg_shape(content)[2], INKS)
    return decode_rgb_jpeg(tf.cond(inks, with_adobe_segment, lambda: content))


def decode_gif(content: Content) -> Any:
    """The first frame on its canvas.

    TensorFlow leaves pixels black whose palette index an extension declares transparent, and makes the canvas as large as the
    largest frame. So it is given the file without extensions, and with the frame in a corner.
    """
    screen = number(content, 10, 1)
    palette = 13 + color_table_size(screen)

    def skip_extension(at: Any, transparent: Any) -> tuple[Any, Any]:
        control = tf.equal(number(content, at + 1, 1), 0xF9) & (number(content, at + 3, 1) % 2 > 0)
        [end] = go_through(
            lambda block: number(content, block, 1) > 0, lambda block: (block + 1 + number(content, block, 1),), [at + 2]
        )
        return end + 1, tf.where(control, number(content, at + 6, 1), transparent)

    start = palette, tf.constant(0, tf.int64)
    frame, fill = go_through(lambda at, _: tf.equal(number(content, at, 1), 0x21), skip_extension, start)
    frame = provided(tf.equal(number(content, frame, 1), 0x2C), frame)
    left, top, width, height = (number(content, frame + place, 2) for place in (1, 3, 5, 7))
    bare = [part(content, 0, palette), b"\x2c\0\0\0\0", part(content, frame + 5, length(content))]
    image = tf.io.decode_image(tf.strings.join(bare), channels=3, expand_animations=False)
    image = tf.ensure_shape(image, (None, None, 3))[:height, :width]  # other frames may be larger
    local = number(content, frame + 9, 1)
    colors = tf.where(local >= 128, frame + 10, 13)
    known = fill * 3 < tf.where(local >= 128, color_table_size(local), color_table_size(screen))
    color = tf.io.decode_raw(part(content, colors + 3 * fill, tf.where(known, 3, 0)), tf.uint8)
    color = tf.concat([color, tf.zeros(3, tf.uint8)], 0)[:3]
    canvas_width, canvas_height = (number(content, place, 2) for place in (6, 8))
    return on_canvas(image, tf.maximum(canvas_height, top + height), tf.maximum(canvas_width, left + width), top, left, color)


def color_table_size(flags: Any) -> Any:
    """Bytes of a GIF's color table, by the byte that describes it."""
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8), 0)


def decode_webp(content: Content) -> Any:
    """A still image, or the first frame of an animation on its canvas, black around.

    TensorFlow 2.21 must not see an animation: for a number of channels that it finds itself, it writes beyond its memory.
    """
    animation = tf.equal(part(content, 12, 4), b"VP8X") & (number(content, 20, 1) // 2 % 2 > 0)
    return tf.cond(animation, lambda: decode_animated_webp(content), lambda: decode_still_webp(content))


@tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
def decode_still_webp(content: Content) -> Any:
    """TensorFlow insists on the number of channels that the file has."""
    lossless = find_chunk(content, b"VP8L", 12)
    by_lossless = number(content, lossless + 12, 1) // 16 % 2 > 0
    by_others = tf.equal(part(content, 12, 4), b"VP8X") & (number(content, 20, 1) // 16 % 2 > 0)
    transparent = tf.where(lossless < length(content), by_lossless, by_others)
    return tf.cond(
        transparent,
        lambda: tf.ensure_shape(tf.io.decode_image(content, channels=4, expand_animations=False), (None, None, 4))[..., :3],
        lambda: tf.ensure_shape(tf.io.decode_image(content, channels=3, expand_animations=False), (None, None, 3)),
    )


def decode_animated_webp(content: Content) -> Any:
    """The first frame's chunks make a still file."""
    frame = find_chunk(content, b"ANMF", 12) + 8
    canvas_width, canvas_height = (number(content, place, 3) + 1 for place in (24, 27))
    left, top = (2 * number(content, frame + place, 3) for place in (0, 3))
    chunks = part(content, frame + 16, number(content, frame - 4, 4) - 16)
    has_alpha = starts_with(chunks, b"ALPH")
    header = tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", part(content, frame + 6, 6)])  # with the frame's size
    body = tf.strings.join([b"WEBP", tf.where(has_alpha, header, b""), chunks])
    size = tf.bitwise.right_shift(length(body), tf.constant([0, 8, 16, 24], tf.int64)) % 256
    every_byte = tf.constant([bytes([code]) for code in range(256)])
    image = decode_still_webp(tf.strings.join([b"RIFF", tf.strings.reduce_join(tf.gather(every_byte, size)), body]))
    return on_canvas(image, canvas_height, canvas_width, top, left, tf.zeros(3, tf.uint8))


def find_chunk(content: Content, kind: bytes, start: int) -> Any:
    """Where a chunk of a RIFF file begins; the file's length if there is none."""

    def is_other(at: Any) -> Any:
        return (at < length(content)) & tf.not_equal(part(content, at, 4), kind)

    def skip(at: Any) -> tuple[Any]:
        size = number(content, at + 4, 4)
        return (at + 8 + size + size % 2,)

    [found] = go_through(is_other, skip, [tf.constant(start, tf.int64)])
    return tf.minimum(found, length(content))


def decode_bmp(content: Content) -> Any:
    """With 8, 24 or 32 bits and uncompressed. TensorFlow gives the indices of a palette."""
    compression, bits = number(content, 30, 4), number(content, 28, 2)
    usual = tf.equal(compression, 3) & tf.equal(bits, 32) & tf.equal(part(content, 54, 12), BITFIELDS_OF_BGRA)
    content = provided(tf.equal(compression, 0) | usual, content)
    pixels = tf.ensure_shape(tf.io.decode_bmp(content), (None, None, None))

    def through_palette() -> Any:
        count = number(content, 46, 4)
        count = tf.where(count > 0, count, 256)
        table = part(content, 14 + number(content, 14, 4), 4 * count)
        colors = tf.reshape(tf.io.decode_raw(table, tf.uint8), (-1, 4))[:, 2::-1]
        return tf.gather(colors, tf.cast(pixels[..., 0], tf.int32))

    return tf.cond(tf.equal(bits, 8), through_palette, lambda: pixels[..., :3])
