"""What happens to a picture before the first convolution, as data: the same record for training, evaluation and export."""

import dataclasses

import numpy as np

from keras_resnet.errors import UserError, comma_join, first_line

INTERPOLATIONS = ("bilinear", "bicubic")
CHANNEL_ORDERS = ("rgb", "bgr")


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Resize and crop to `height` x `width`, then `(pixel / 255 - mean) / std` per channel.

    height, width: pixels. channels: 1 for grey, 3 for RGB. mean, std: one number per channel, for pixels scaled to 0..1.
    crop_fraction: share of the resized picture's shorter side that the centre crop keeps. interpolation: "bilinear" or
    "bicubic". channel_order: in which the network reads the channels, "rgb" or, as Caffe's, "bgr"; mean and std are in RGB.
    """

    height: int
    width: int
    channels: int
    mean: tuple
    std: tuple
    crop_fraction: float = 1.0
    interpolation: str = "bilinear"
    channel_order: str = "rgb"

    def __post_init__(self):
        for field, valid in (("interpolation", INTERPOLATIONS), ("channel_order", CHANNEL_ORDERS)):
            if getattr(self, field) not in valid:
                raise UserError(f"{field} is {getattr(self, field)!r}; it is one of {comma_join(valid)}")
        if not all(isinstance(size, int) and size > 0 for size in (self.height, self.width, self.channels)):
            raise UserError(f"images are {self.height}x{self.width}x{self.channels}; each is a whole number above 0")
        if not len(self.mean) == len(self.std) == self.channels or not all(std > 0 for std in self.std):
            raise UserError(f"mean is {self.mean} and std {self.std}; each has {self.channels} numbers, and std is above 0")
        if not 0 < self.crop_fraction <= 1:
            raise UserError(f"crop_fraction is {self.crop_fraction!r}; it is above 0 and at most 1")

    @classmethod
    def from_images(cls, images):
        """The size of `images` (uint8, (N, H, W, C)) and their mean and standard deviation per channel."""
        _, height, width, channels = images.shape
        counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(channels)])
        shares, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
        mean = shares @ values
        std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 1e-6))
        return cls(height, width, channels, tuple(mean.round(6).tolist()), tuple(std.round(6).tolist()))

    @property
    def shape(self):
        """(height, width, channels)"""
        return (self.height, self.width, self.channels)

    def normalize(self, pixels):
        """Pixels 0 to 255 in RGB, (..., C), as the network reads them: float32."""
        scaled = (np.asarray(pixels, np.float32) / 255 - np.float32(self.mean)) / np.float32(self.std)
        return scaled[..., ::-1] if self.channel_order == "bgr" else scaled

    def layer(self):
        """The scaling as a stock layer: raw pixels 0 to 255, (N, H, W, C), to normalised float32, in RGB."""
        import keras

        std, mean = np.array(self.std), np.array(self.mean)
        return keras.layers.Rescaling((1 / (255 * std)).tolist(), (-mean / std).tolist(), name="rescaling")

    def prepare(self, images):
        """A stack of images, uint8 (N, H, W, C), each resized, cropped and turned grey or RGB as pictures are."""
        if images.shape[1:] == self.shape and self.crop_fraction == 1:
            return images
        from PIL import Image

        mode = "L" if self.channels == 1 else "RGB"
        pictures = (Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).convert(mode) for image in images)
        return np.stack([self.resize_and_crop(picture) for picture in pictures])

    def summary(self):
        """The evaluation protocol in words."""
        share = "" if self.crop_fraction == 1 else f", the central {self.crop_fraction:.4g} of the {self.interpolation} resize"
        return f"{self.height}x{self.width}x{self.channels}{share}"

    def load_image(self, file, name=None):
        """A picture file, turned upright, resized and cropped: uint8, (height, width, channels). See `open_image`."""
        return self.resize_and_crop(open_image(file, self.channels, name))

    def resize_and_crop(self, picture):
        """Scales a PIL picture so that its crop covers height x width, aspect ratio kept, and cuts out the centre.

        To the pixel what torchvision's Resize and CenterCrop do.
        """
        from PIL import Image

        # A hair more than the quotient: 224 / (224 / 232) is not to become 231.
        target = [int(side / self.crop_fraction + 1e-6) for side in (self.width, self.height)]
        scale = max(target[0] / picture.width, target[1] / picture.height)
        size = tuple(max(least, int(side * scale + 1e-6)) for least, side in zip(target, picture.size, strict=True))
        if size != picture.size:
            picture = picture.resize(size, Image.Resampling[self.interpolation.upper()])
        left, top = round((size[0] - self.width) / 2), round((size[1] - self.height) / 2)
        picture = picture.crop((left, top, left + self.width, top + self.height))
        return np.asarray(picture, np.uint8).reshape(self.height, self.width, self.channels)


def open_image(file, channels, name=None):
    """A PIL picture, turned upright, grey (`channels` 1) or RGB (3). Transparency is dropped.

    file: a path, or a file object that errors call `name`.
    """
    from PIL import Image, ImageOps

    name = file if name is None else name
    try:
        with Image.open(file) as picture:
            if picture.mode in ("F", "I"):
                raise UserError(f"{name} has pixels in mode {picture.mode}, which have no agreed range; 8 and 16 bits do")
            if picture.mode.startswith("I;16"):
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            elif picture.mode == "P" and "transparency" in picture.info:
                picture = picture.convert("RGBA")  # Pillow warns on the direct way
            return ImageOps.exif_transpose(picture).convert("L" if channels == 1 else "RGB")
    except UserError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{name} cannot be read as a picture: {first_line(error)}") from error
