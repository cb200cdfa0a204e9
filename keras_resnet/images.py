"""What the pixels of an image file are. Nothing else in this package decodes image files, exported models aside."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
import warnings
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, features

from keras_resnet import foreign_files
from keras_resnet.errors import UserError, first_line

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")  # Pillow's names
OPTIONAL_CODECS = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}  # that a build of Pillow may lack
MAX_PIXELS = 120_000_000  # a telephone's have 108 million; two copies at four bytes a pixel stay below a gigabyte
LARGE = 32_000_000  # pixels; of images with more, one is read at a time, however many threads there are
ORIENTATION = 0x0112  # EXIF tag
ORIENTATIONS = {  # EXIF's number: what turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
INTEGER_BYTES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}  # by TIFF type
XMP_ORIENTATION = re.compile(r'tiff:Orientation(?:="|>)([1-8])')
GRAYSCALE_MODES = ("1", "L", "LA", "La")
OTHER_CONTENT = {  # what is often called an image: its first bytes
    "is a Git LFS pointer; `git lfs pull` fetches the image": b"version https://git-lfs",
    "is a web page": re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE),
    "is a HEIC image; convert it to JPEG": re.compile(rb".{4}ftyp(heic|heix|hevc|mif1|msf1)", re.DOTALL),
    "is an SVG drawing; convert it to PNG": re.compile(rb"\s*<(svg|\?xml)"),
    "is a PDF; convert it to PNG": b"%PDF",
    "is PostScript; convert it to PNG": b"%!PS",
    "is a Photoshop image; convert it to PNG": b"8BPS",
    "begins like an image, but is damaged or of a kind that cannot be read": re.compile(
        rb"\xff\xd8\xff|\x89PNG|GIF8|BM|RIFF.{4}WEBP|II[*+]\0|MM\0[*+]|\xff\x4f\xff\x51|.{4}(jP  |ftypavi)", re.DOTALL
    ),
}  # fmt: skip

# What Pillow warns of, such as a resolution that is not a number, does not change the pixels; what does, raises.
warnings.filterwarnings("ignore", module=r"PIL\.")

_large_image = threading.RLock()


class UnreadableImageError(UserError):
    """A file that is not an image which can be read.

    Attributes:
        reason: why not, to stand after the file's name.
    """

    def __init__(self, name: object, reason: str) -> None:
        clause = f"it {reason}" if reason.startswith(("is ", "has ", "begins ")) else reason
        super().__init__(f"{name} cannot be read as an image: {clause}")
        self.reason = reason


@functools.cache
def formats() -> tuple[str, ...]:
    """The names of the formats that can be read. Others cannot, as they may start programs: PostScript starts Ghostscript."""
    codecs = features.get_supported()
    return tuple(name for name in FORMATS if OPTIONAL_CODECS.get(name) in (None, *codecs))


@contextlib.contextmanager
def opened(file: str | os.PathLike[str] | IO[bytes], name: object = None) -> Iterator[ImageFile.ImageFile]:
    """Opens an image file whose pixels `upright` returns. Whatever is raised inside becomes an `UnreadableImageError`.

    Args:
        file: a path, or a file object that errors call `name`.
        name: by default the path.

    Raises:
        UnreadableImageError: if the file is not an image that can be read.
    """
    name = file if name is None else name
    try:
        with open_file(file) as stream:
            try:
                with Image.open(stream, formats=formats()) as image:
                    pixels = image.width * image.height
                    if pixels > MAX_PIXELS:
                        raise UnreadableImageError(name, f"has {image.width}x{image.height} pixels, over {MAX_PIXELS:,}")
                    with _large_image if pixels > LARGE else contextlib.nullcontext():
                        yield image
            except Image.UnidentifiedImageError as error:
                raise UnreadableImageError(name, what_else(stream)) from error
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(name, f"has over {MAX_PIXELS:,} pixels") from error
    except OSError as error:
        raise UnreadableImageError(name, error.strerror or first_line(error)) from error
    except Exception as error:  # Pillow raises whatever Python does for bytes that it does not expect
        raise UnreadableImageError(name, first_line(error)) from error


@contextlib.contextmanager
def open_file(file: str | os.PathLike[str] | IO[bytes]) -> Iterator[IO[bytes]]:
    """Opens a regular file: a pipe may wait for ever, and a device never end."""
    if not isinstance(file, str | os.PathLike):
        yield file
        return
    if found := foreign_files.special_kind(file):
        raise OSError(f"is {found}")
    with open(file, "rb") as stream:
        yield stream


def what_else(stream: IO[bytes]) -> str:
    """What a file is that is not an image of a known format."""
    stream.seek(0)
    first = stream.read(64)
    if not first:
        return "is empty"
    for content, signature in OTHER_CONTENT.items():
        if first.startswith(signature) if isinstance(signature, bytes) else signature.match(first):
            return content
    return "is in no known format of images"


def is_image(file: str | os.PathLike[str] | IO[bytes]) -> bool:
    """Whether a file begins like an image that can be read, whatever it is called."""
    try:
        with opened(file):
            return True
    except UnreadableImageError:
        return False


def is_grayscale(image: Image.Image) -> bool:
    """Whether an image has no colors."""
    return image.mode in GRAYSCALE_MODES or image.mode.startswith("I")


def upright(image: ImageFile.ImageFile, channels: int) -> Image.Image:
    """Reads the pixels of an image that is `opened`: turned upright, gray (`channels` 1) or RGB (3), transparency dropped.

    Of an animation these are the pixels of the first frame, of a document those of the first page.
    """
    image.load()
    orientation = orientation_of(image)
    pixels = eight_bits(image)
    pixels.info.pop("transparency", None)  # which Pillow would convert as well, and warn of
    mode = "L" if channels == 1 else "RGB"
    pixels = pixels if pixels.mode == mode else pixels.convert(mode)
    return pixels.transpose(ORIENTATIONS[orientation]) if orientation in ORIENTATIONS else pixels


def eight_bits(image: ImageFile.ImageFile) -> Image.Image:
    """The image, if it has 8 bits a channel, or its highest 8 bits of 12 or 16."""
    if not image.mode.startswith(("I", "F")):
        return image
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))):
        raise ValueError(f"its pixels are in mode {image.mode}, which has no agreed range; 8 and 16 bits do")
    tags: Any = getattr(image, "tag_v2", {})
    bits = int(np.ravel(tags.get(258, 16))[0])  # BitsPerSample of a TIFF
    return Image.fromarray((np.asarray(image) >> (bits - 8)).astype(np.uint8))


def orientation_of(image: ImageFile.ImageFile) -> int:
    """EXIF's orientation, 1 to 8; of a PNG once it is loaded, because it may stand at the file's end."""
    if hasattr(image, "tag_v2"):  # a TIFF, which Pillow itself turns upright, and removes the tag
        return image.getexif().get(ORIENTATION, 1)
    exif = image.info.get("exif", b"")
    if not exif and "Raw profile type exif" in image.info:  # ImageMagick's, in a PNG: two lines of header, hexadecimal numbers
        with contextlib.suppress(ValueError):
            exif = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or ""
    return exif_orientation(exif) or xmp_orientation(xmp) or 1


def exif_orientation(exif: bytes) -> int | None:
    """The orientation in EXIF data, 1 to 8. No other tag is read: many cameras and programs write broken ones."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = "big" if exif.startswith(b"MM") else "little"

    def number(start: int, size: int) -> int:
        return int.from_bytes(exif[start : start + size], order)

    entries = number(4, 4) + 2
    for entry in range(entries, min(entries + 12 * number(entries - 2, 2), len(exif)), 12):
        if number(entry, 2) == ORIENTATION:
            value = number(entry + 8, INTEGER_BYTES.get(number(entry + 2, 2), 0))
            return value if value in range(1, 9) else None
    return None


def xmp_orientation(xmp: str | bytes) -> int | None:
    """The orientation in XMP data, 1 to 8, of images without one in EXIF."""
    found = XMP_ORIENTATION.search(xmp.decode("latin-1") if isinstance(xmp, bytes) else xmp)
    return int(found[1]) if found else None
