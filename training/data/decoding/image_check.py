"""Decodes an image once, before anything is trained on it."""

import dataclasses
import io

import numpy as np

from keras_resnet import images

from ..containers.records import DamagedRecordError, Records


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """What is known of an image after decoding it.

    Attributes:
        error: Why it cannot be used, or None.
        size: (height, width), after its EXIF orientation is applied.
        grayscale: Whether it has no colors.
        pixels: uint8 (H, W, 1 or 3), if they were asked for.
    """

    error: str | None = None
    size: tuple[int, int] | None = None
    grayscale: bool = False
    pixels: np.ndarray | None = None


def probe_image(records: Records, index: int, keep: tuple[int, int] | None = None) -> ImageInfo:
    """Decodes an image to its end.

    Args:
        records: The images.
        index: Of this one.
        keep: (height, width). The pixels of an image of this size are returned, others are dropped.
    """
    try:
        with images.opened(io.BytesIO(records.read(index)), records.location(index)) as image:
            grayscale, jpeg = images.is_grayscale(image), image.format in ("JPEG", "MPO")
            if jpeg and images.orientation_of(image) == 1 and (size := (image.height, image.width)) != keep:
                image.draft("L", (1, 1))  # reads all of a JPEG, but computes an eighth of its height and width
                image.load()
                return ImageInfo(None, size, grayscale)
            upright = images.upright(image, 1 if grayscale else 3)
        size = (upright.height, upright.width)
        pixels = np.asarray(upright, np.uint8).reshape(*size, -1) if size == keep else None
        return ImageInfo(None, size, grayscale, pixels)
    except images.UnreadableImageError as error:
        return ImageInfo(error.reason)
    except DamagedRecordError as error:
        return ImageInfo(str(error))
