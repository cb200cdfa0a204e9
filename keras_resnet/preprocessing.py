"""What happens to an image before the first convolution, as data: the same record for training, evaluation and export."""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from keras_resnet.errors import UserError, comma_join

if TYPE_CHECKING:
    import keras
    from PIL import Image

INTERPOLATIONS = ("bilinear", "bicubic")
CHANNEL_ORDERS = ("rgb", "bgr")
CROP_ROUNDINGS = ("half_to_even", "down")
MAX_RESIZED_PIXELS = 10**8  # that an image has before the crop is cut out of it
MAX_SIDE = 4096  # pixels, of the images and of what they are cropped from
MAX_CHANNELS = 1024
MAX_MEAN, MIN_STD, MAX_STD = 1e6, 1e-6, 1e6  # the least is that of pixels that a network reads as 16-bit numbers, and a tenth


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Resize and crop to `height` x `width`, then `(pixel / 255 - mean) / std` per channel.

    Attributes:
        height, width: in pixels.
        channels: 1 for gray, 3 for RGB.
        mean, std: one number per channel, in RGB order, for pixels scaled to 0..1.
        crop_fraction: fraction of the resized image's shorter side that the center crop keeps.
        interpolation: "bilinear" or "bicubic".
        channel_order: the order in which the network reads the channels, "rgb" or, as in Caffe, "bgr".
        crop_rounding: which pixel the crop begins with where its center lies between two: "half_to_even", as torchvision and
            timm, or "down", as transformers. It moves the crop by a pixel in half of such images.

    Raises:
        UserError: if a value is out of range.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_fraction: float = 1.0
    interpolation: str = "bilinear"
    channel_order: str = "rgb"
    crop_rounding: str = "half_to_even"

    def __post_init__(self) -> None:
        choices = {"interpolation": INTERPOLATIONS, "channel_order": CHANNEL_ORDERS, "crop_rounding": CROP_ROUNDINGS}
        for field, valid in choices.items():
            if getattr(self, field) not in valid:
                raise UserError(f"{field} is {getattr(self, field)!r}; it is one of {comma_join(valid)}")
        sizes = (self.height, self.width, self.channels)
        if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
            raise UserError(f"images are {self.height}x{self.width}x{self.channels}; each is a whole number above 0")
        if not (is_number(self.crop_fraction) and 0 < self.crop_fraction <= 1):
            raise UserError(f"crop_fraction is {self.crop_fraction!r}; it is above 0 and at most 1")
        side = max(self.height, self.width)
        if side > self.crop_fraction * MAX_SIDE + 1e-6:
            cropped = "" if self.crop_fraction == 1 else f", cropped from {side / self.crop_fraction:.6g} pixels"
            raise UserError(f"images are {self.height}x{self.width}{cropped}; a side has at most {MAX_SIDE} pixels")
        if self.channels > MAX_CHANNELS:
            raise UserError(f"images have {self.channels} channels; they have at most {MAX_CHANNELS}")
        if not all(is_numbers(values, self.channels) for values in (self.mean, self.std)):
            raise UserError(f"mean is {self.mean} and std {self.std}; each has {self.channels} numbers, and std is above 0")
        if not all(abs(mean) <= MAX_MEAN for mean in self.mean) or not all(MIN_STD <= std <= MAX_STD for std in self.std):
            raise UserError(
                f"mean is {self.mean} and std {self.std}; for pixels scaled to 0..1 "
                f"a mean is within {MAX_MEAN:g} of 0 and a std between {MIN_STD:g} and {MAX_STD:g}"
            )

    @classmethod
    def from_images(cls, images: np.ndarray) -> Self:
        """The size of `images` (uint8, (N, H, W, C)) and their mean and standard deviation per channel."""
        _, height, width, channels = images.shape
        counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(channels)])
        fractions, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
        mean = fractions @ values
        std = np.sqrt(np.maximum(fractions @ values**2 - mean**2, 1e-6))
        return cls(height, width, channels, tuple(mean.round(6).tolist()), tuple(std.round(6).tolist()))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)"""
        return (self.height, self.width, self.channels)

    def normalize(self, pixels: np.ndarray) -> np.ndarray:
        """Scales RGB pixels 0 to 255, (..., C), to what the network reads: float32."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        scaled = (np.asarray(pixels, np.float32) / 255 - mean) / std
        return scaled[..., ::-1] if self.channel_order == "bgr" else scaled

    def layer(self) -> keras.layers.Rescaling:
        """The scaling as a stock layer: raw pixels 0 to 255, (N, H, W, C), to normalized float32, in RGB."""
        import keras

        std, mean = np.array(self.std), np.array(self.mean)
        return keras.layers.Rescaling((1 / (255 * std)).tolist(), (-mean / std).tolist(), name="rescaling")

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Resizes, crops and converts a stack of images, uint8 (N, H, W, C), to gray or RGB, each as image files are."""
        if images.shape[1:] == self.shape and self.crop_fraction == 1:
            return images
        from PIL import Image

        mode = "L" if self.channels == 1 else "RGB"
        pil_images = (Image.fromarray(x.squeeze(-1) if x.shape[-1] == 1 else x).convert(mode) for x in images)
        return np.stack([self.resize_and_crop(image) for image in pil_images])

    def summary(self) -> str:
        """The size, crop and interpolation in words."""
        crop = "" if self.crop_fraction == 1 else f", the central {self.crop_fraction:.4g} of the {self.interpolation} resize"
        return f"{self.height}x{self.width}x{self.channels}{crop}"

    def load_image(self, file: str | os.PathLike[str] | IO[bytes], name: object = None) -> np.ndarray:
        """Reads an image file, turned upright, resized and cropped: uint8, (height, width, channels). See `open_image`."""
        return self.resize_and_crop(open_image(file, self.channels, name))

    def resize_and_crop(self, image: Image.Image) -> np.ndarray:
        """Scales a PIL image so that its crop covers height x width, aspect ratio kept, and cuts out the center.

        The same to the pixel as the resize and crop of torchvision, timm and transformers with Pillow before version 13, see
        `resize`.
        """
        from PIL import Image

        # Slightly more than the quotient: 224 / (224 / 232) must not become 231.
        target = [int(side / self.crop_fraction + 1e-6) for side in (self.width, self.height)]
        scale = max(target[0] / image.width, target[1] / image.height)
        width, height = (max(least, int(side * scale + 1e-6)) for least, side in zip(target, image.size, strict=True))
        whole = round if self.crop_rounding == "half_to_even" else math.floor
        left, top = whole((width - self.width) / 2), whole((height - self.height) / 2)
        box = (left, top, left + self.width, top + self.height)
        resampling = Image.Resampling[self.interpolation.upper()]
        if width * height > MAX_RESIZED_PIXELS:  # of a long and narrow image; what is not in the crop is never made
            across, down = image.width / width, image.height / height
            part = (left * across, top * down, min(box[2] * across, image.width), min(box[3] * down, image.height))
            image = resize(image, (self.width, self.height), resampling, part)
        else:
            image = resize(image, (width, height), resampling, (0, 0, *image.size)).crop(box)
        return np.asarray(image, np.uint8).reshape(self.height, self.width, self.channels)


def resize(
    image: Image.Image, size: tuple[int, int], resampling: Image.Resampling, box: tuple[float, float, float, float]
) -> Image.Image:
    """Resizes the part of a PIL image in `box`, first along its rows and then along its columns.

    Pillow has done so in one call; from version 13 on it begins with the columns of tall images, which rounds otherwise. The
    pixels are to be the same with every version, and as the exported SavedModel and web page compute them.
    """
    left, top, right, bottom = box
    image = image.resize((size[0], image.height), resampling, (left, 0, right, image.height))
    return image.resize(size, resampling, (0, top, size[0], bottom))


def open_image(file: str | os.PathLike[str] | IO[bytes], channels: int, name: object = None) -> Image.Image:
    """Reads an image file as a PIL image, turned upright, gray (`channels` 1) or RGB (3). Transparency is dropped.

    Args:
        file: a path, or a file object that errors call `name`.
        channels: 1 or 3.
        name: by default the path.

    Raises:
        UserError: if the file is not an image that can be read.
    """
    from keras_resnet import images

    with images.opened(file, name) as image:
        return images.upright(image, channels)


def mean_and_std(scale: Any, offset: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The `mean` and `std` of a `Preprocessing` that computes scale * pixel + offset; each a number, or one per channel."""
    scale, offset = (np.broadcast_to(np.asarray(value, float), channels) for value in (scale, offset))
    std = 1 / (255 * scale)
    return tuple((-offset * std).tolist()), tuple(std.tolist())


def is_numbers(values: object, count: int) -> bool:
    """Whether this is a tuple or list of so many numbers."""
    return isinstance(values, (tuple, list)) and len(values) == count and all(map(is_number, values))


def is_number(value: object) -> bool:
    """Whether this is a real number that is finite, and not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
