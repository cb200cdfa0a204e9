"""Decodes every image once, before anything is trained on it."""

import dataclasses

import numpy as np

from keras_resnet import images
from keras_resnet.errors import first_line

from .encoded_images import EncodedImage
from .tf_decoding import is_tf_decodable


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """What is known of an image after decoding it.

    Attributes:
        error: Why it cannot be used, or None.
        size: (height, width), after its EXIF orientation is applied.
        grayscale: Whether it has no colors.
        tf_decodable: Whether TensorFlow decodes it to the same pixels as `keras_resnet.images`, or refuses it.
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
        with images.opened(encoded.file(), encoded.name) as image:
            grayscale, jpeg = images.is_grayscale(image), image.format in ("JPEG", "MPO")
            tf_decodable = jpeg and is_tf_decodable(image)
            if tf_decodable and (size := (image.height, image.width)) != keep:
                image.draft("L", (1, 1))  # reads all of a JPEG, but computes an eighth of its height and width
                image.load()
                return ImageInfo(None, size, grayscale, tf_decodable)
            upright = images.upright(image, 1 if grayscale else 3)
            tf_decodable = is_tf_decodable(image) if not jpeg else tf_decodable
        size = (upright.height, upright.width)
        pixels = np.asarray(upright, np.uint8).reshape(*size, -1) if size == keep else None
        return ImageInfo(None, size, grayscale, tf_decodable, pixels)
    except images.UnreadableImageError as error:
        return ImageInfo(error.reason)
    except OSError as error:
        return ImageInfo(error.strerror or first_line(error))
