"""Every picture opened and decoded once, before anything is trained on it."""

import dataclasses
import io

import numpy as np
from PIL import Image

from keras_resnet.errors import UserError, first_line
from keras_resnet.preprocessing import open_image

from .tfrecords import TFRecordExample

GREY_MODES = ("1", "L", "LA", "La")
PLAIN = {"JPEG": ("L", "RGB"), "MPO": ("L", "RGB"), "PNG": ("L", "RGB", "RGBA")}
ORIENTATION = 0x0112  # of EXIF


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """What a picture is.

    error: why it cannot be used, or None. size: (height, width), upright. grey: that it has no colours. plain: that
    TensorFlow decodes it as Pillow does. pixels: uint8 (H, W, 1 or 3), where they were asked for.
    """

    error: str | None = None
    size: tuple | None = None
    grey: bool = False
    tf_decodable: bool = False
    pixels: np.ndarray | None = None


def probe_image(encoded, keep=None):
    """A `ImageInfo` on a path or `TFRecordExample` of a picture, which is decoded to its end. keep: the size whose pixels are kept."""
    try:
        with Image.open(stream(encoded)) as picture:
            turn = picture.getexif().get(ORIENTATION, 1) if picture.format in ("JPEG", "MPO", "PNG") else 1
            size = picture.size if turn in (5, 6, 7, 8) else picture.size[::-1]
            grey = picture.mode in GREY_MODES or picture.mode.startswith("I;16")
            tf_decodable = turn == 1 and picture.mode in PLAIN.get(picture.format, ())
            if tf_decodable and size != keep:
                picture.draft("L", (1, 1))  # of a JPEG: all of it is read, an eighth of its height and width computed
                picture.load()
                return ImageInfo(None, size, grey, tf_decodable)
            upright = (
                picture.convert("L" if grey else "RGB") if tf_decodable else open_image(stream(encoded), 1 if grey else 3, "it")
            )
        pixels = np.asarray(upright, np.uint8).reshape(*size, -1) if size == keep else None
        return ImageInfo(None, size, grey, tf_decodable, pixels)
    except Image.UnidentifiedImageError:
        return ImageInfo("is no picture")
    except (UserError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return ImageInfo(getattr(error, "strerror", None) or first_line(error))


def stream(encoded):
    """What Pillow opens: a path as it is, a file object on a `TFRecordExample`."""
    return io.BytesIO(encoded.read()) if isinstance(encoded, TFRecordExample) else encoded
