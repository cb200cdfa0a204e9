"""Decodes every image once, before anything is trained on it."""

import dataclasses

import numpy as np
from PIL import Image

from keras_resnet.errors import UserError, first_line
from keras_resnet.preprocessing import open_image

from .encoded_images import EncodedImage

GRAYSCALE_MODES = ("1", "L", "LA", "La")
TF_DECODABLE_MODES = {"JPEG": ("L", "RGB"), "MPO": ("L", "RGB"), "PNG": ("L", "RGB", "RGBA")}  # by format
ORIENTATION = 0x0112  # EXIF tag


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """What is known of an image after decoding it.

    Attributes:
        error: Why it cannot be used, or None.
        size: (height, width), after its EXIF orientation is applied.
        grayscale: Whether it has no colors.
        tf_decodable: Whether TensorFlow decodes it to the same pixels as Pillow.
        pixels: uint8 (H, W, 1 or 3), if they were asked for.
    """

    error: str | None = None
    size: tuple[int, int] | None = None
    grayscale: bool = False
    tf_decodable: bool = False
    pixels: np.ndarray | None = None


def probe_image(encoded: EncodedImage, keep: tuple[int, int] | None = None) -> ImageInfo:
    """Decodes an image to its end.

    Args:
        encoded: The image.
        keep: (height, width). The pixels of an image of this size are returned, others are dropped.
    """
    try:
        with Image.open(encoded.pillow_file()) as image:
            turn = image.getexif().get(ORIENTATION, 1) if image.format in ("JPEG", "MPO", "PNG") else 1
            width, height = image.size[::-1] if turn in (5, 6, 7, 8) else image.size
            size = (height, width)
            grayscale = image.mode in GRAYSCALE_MODES or image.mode.startswith("I;16")
            tf_decodable = turn == 1 and image.mode in TF_DECODABLE_MODES.get(image.format or "", ())
            if tf_decodable and size != keep:
                image.draft("L", (1, 1))  # reads all of a JPEG, but computes an eighth of its height and width
                image.load()
                return ImageInfo(None, size, grayscale, tf_decodable)
            if tf_decodable:
                upright = image.convert("L" if grayscale else "RGB")
            else:
                upright = open_image(encoded.pillow_file(), 1 if grayscale else 3, "it")
        pixels = np.asarray(upright, np.uint8).reshape(*size, -1) if size == keep else None
        return ImageInfo(None, size, grayscale, tf_decodable, pixels)
    except Image.UnidentifiedImageError:
        return ImageInfo("is not an image")
    except (UserError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return ImageInfo(getattr(error, "strerror", None) or first_line(error))
