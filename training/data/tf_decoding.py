"""Which images TensorFlow decodes to the same pixels as `keras_resnet.images`. It is faster at that, and refuses more."""

import io
from typing import IO

import numpy as np
import tensorflow as tf
from PIL import ImageFile

from keras_resnet import images

MODES = {"JPEG": ("L", "RGB"), "MPO": ("L", "RGB"), "PNG": ("L", "RGB", "RGBA")}  # of Pillow, by format
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_START = b"\x89PNG"
COLOR_TYPE = 25  # where a PNG says that it is gray, by a 0
FILL, START_OF_FRAME, OTHER_TABLES = 0xFF, range(0xC0, 0xD0), (0xC4, 0xC8, 0xCC)  # second bytes of a JPEG's markers
HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)  # sequential and progressive; the others are lossless, or have arithmetic codes


def is_tf_decodable(image: ImageFile.ImageFile) -> bool:
    """Whether TensorFlow decodes an image that is `images.opened` alike, or fails; a PNG has to be loaded.

    It does not read the orientation, and knows neither a JPEG in CMYK nor the colors of a palette.
    """
    if image.mode not in MODES.get(image.format or "", ()) or images.orientation_of(image) != 1:
        return False
    return image.format == "PNG" or (image.fp is not None and has_huffman_codes(image.fp))


def has_huffman_codes(jpeg: IO[bytes]) -> bool:
    """Whether the segments of a JPEG lead to a frame in Huffman codes, as all but a few do. TensorFlow decodes no other."""
    jpeg.seek(len(JPEG_START) - 1)
    while (head := jpeg.read(4))[:1] == bytes([FILL]) and len(head) == 4:
        marker, length = head[1], int.from_bytes(head[2:])
        if marker in START_OF_FRAME and marker not in OTHER_TABLES:
            return marker in HUFFMAN_FRAMES
        jpeg.seek(-3 if marker == FILL else length - 2, 1)
    return False


def is_intact_jpeg(content: bytes) -> bool:
    """Whether bytes that were a decodable JPEG when they were checked still look so, from the start to the end.

    TensorFlow makes up what is missing. Some cameras append data of their own after the end.
    """
    complete = content.startswith(JPEG_START) and content.rfind(JPEG_END, len(content) // 2) > 0
    return complete and has_huffman_codes(io.BytesIO(content))


def decode_png(content: bytes, channels: int) -> np.ndarray | None:
    """Decodes a PNG to uint8 (H, W, `channels`); None if TensorFlow refuses it, such as for a wrong checksum or a missing end.

    None, too, for a PNG in color that has to be gray, to which TensorFlow converts in another way.
    """
    if not content.startswith(PNG_START) or (channels == 1 and content[COLOR_TYPE : COLOR_TYPE + 1] != b"\0"):
        return None
    try:
        with tf.device("CPU:0"):
            return tf.io.decode_png(content, channels).numpy()
    except tf.errors.InvalidArgumentError:
        return None
