"""Image files as the world has them: cut, wrongly named, with broken notes, in every mode, and what only pretends to be one.

Each generator gives the bytes of one file. Those of `USABLE` show `scene()`, to within a JPEG's loss; those of `UNUSABLE` are
refused in one line. `FORMS` are all of both, by name.
"""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 50
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def scene() -> np.ndarray:
    """uint8 (40, 50, 3): smooth, so that a JPEG hardly changes it, and different in each corner."""
    across, down = np.meshgrid(np.linspace(20, 220, WIDTH), np.linspace(30, 200, HEIGHT))
    return np.stack([across, down, 255 - across], -1).astype(np.uint8)


def saved(format: str, mode: str = "RGB", pixels: np.ndarray | None = None, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene() if pixels is None else pixels).convert(mode).save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes, wrong: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


def png(*chunks: bytes, bits: int = 8, color: int = 2, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    header = struct.pack(">IIBBBBB", *size, bits, color, 0, 0, 0)
    return b"".join((PNG_SIGNATURE, chunk(b"IHDR", header), *chunks))


def scanlines(pixels: np.ndarray | None = None, rows: int = HEIGHT) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in (scene() if pixels is None else pixels)[:rows])


IDAT, IEND = chunk(b"IDAT", zlib.compress(scanlines())), chunk(b"IEND", b"")


def exif(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """EXIF data with (tag, type, count, the four bytes of the value) each."""
    body = struct.pack(f"{order}H", len(entries))
    body += b"".join(struct.pack(f"{order}HHL", *entry[:3]) + entry[3] for entry in entries) + bytes(4)
    return b"Exif\0\0" + (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", 8) + body


def orientation(number: int, order: str = "<") -> tuple[int, int, int, bytes]:
    return (0x0112, 3, 1, struct.pack(f"{order}HH", number, 0))


def stored_sideways() -> np.ndarray:
    """What EXIF's orientation 6 turns into `scene()`."""
    return np.rot90(scene(), 1).copy()


def sideways(format: str, *entries: tuple[int, int, int, bytes], mode: str = "RGB", order: str = "<", **options) -> bytes:
    notes = exif(orientation(6, order), *entries, order=order)
    return saved(format, mode, stored_sideways(), exif=notes, **options)


def tiff(bits: int, body: bytes, height: int = HEIGHT, width: int = WIDTH, number: int = 1) -> bytes:
    """An uncompressed gray TIFF whose pixels, packed, are `body`; `number` is its orientation."""
    shorts = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 274: number, 277: 1, 278: height}
    entries = [(tag, 3, 1, struct.pack("<HH", value, 0)) for tag, value in shorts.items()]
    start = 8 + 2 + 12 * (len(entries) + 2) + 4
    entries += [(273, 4, 1, struct.pack("<L", start)), (279, 4, 1, struct.pack("<L", len(body)))]
    directory = b"".join(struct.pack("<HHL", *entry[:3]) + entry[3] for entry in sorted(entries))
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + directory + bytes(4) + body


def twelve_bits() -> bytes:
    high, low = (scene()[..., 0].reshape(-1, 2).astype(np.uint16) * 16 + 7).T
    packed = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], -1)
    return tiff(12, packed.astype(np.uint8).tobytes())


def palette_with_transparency() -> bytes:
    image = Image.fromarray(scene()).quantize(64)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes(range(64)))
    return file.getvalue()


def animation(format: str) -> bytes:
    file = io.BytesIO()
    others = [Image.new("RGB", (WIDTH, HEIGHT), color) for color in ("red", "blue")]
    Image.fromarray(scene()).save(
        file, format, save_all=True, append_images=others, **({} if format == "GIF" else {"lossless": True})
    )
    return file.getvalue()


def multi_picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene()).save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))], quality=95)
    return file.getvalue()


def pages() -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene()).save(file, "TIFF", save_all=True, append_images=[Image.new("L", (3, 3))], compression="tiff_lzw")
    return file.getvalue()


def jpeg(**options) -> bytes:
    return saved("JPEG", quality=95, subsampling=0, **options)


def noisy_jpeg() -> bytes:
    return saved("JPEG", pixels=np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def arithmetic_frame() -> bytes:
    """A JPEG whose frame claims arithmetic codes."""
    return jpeg().replace(b"\xff\xc0\x00\x11", b"\xff\xc9\x00\x11", 1)


def twelve_bit_jpeg() -> bytes:
    return jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c", 1)


RESOLUTION_AS_TEXT, MAKER_AS_RATIONAL = (0x0128, 2, 2, b"2\0\0\0"), (0x010F, 5, 1, struct.pack("<L", 9999))

USABLE: dict[str, Callable[[], bytes]] = {  # file name: its content
    "plain.jpg": jpeg,
    "progressive.jpg": lambda: jpeg(progressive=True),
    "cmyk.jpg": lambda: jpeg(mode="CMYK"),
    "profile.jpg": lambda: jpeg(icc_profile=b"not a profile" * 20),
    "behind_the_end.jpg": lambda: jpeg() + b"SEFT" * 3000,
    "two_pictures.jpg": multi_picture,
    "no_end.png": lambda: png(IDAT),
    "checksum.png": lambda: png(chunk(b"IDAT", zlib.compress(scanlines()), 0xFF), IEND),
    "checksum_of_end.png": lambda: png(IDAT, chunk(b"IEND", b"", 1)),
    "no_adler.png": lambda: png(chunk(b"IDAT", zlib.compress(scanlines())[:-4]), IEND),
    "behind_the_end.png": lambda: png(IDAT, IEND) + b"junk" * 9,
    "unknown_chunk.png": lambda: png(chunk(b"ABCD", b"x"), IDAT, IEND),
    "sixteen.png": lambda: png(
        chunk(b"IDAT", zlib.compress(scanlines((scene() * np.uint16(257)).astype(">u2")))), IEND, bits=16
    ),
    "animated.png": lambda: animation("PNG"),
    "palette.png": palette_with_transparency,
    "alpha.png": lambda: saved("PNG", "RGBA"),
    "called.png": jpeg,
    "called.jpg": lambda: saved("WEBP", lossless=True),
    "unit.jpg": lambda: sideways("JPEG", RESOLUTION_AS_TEXT, quality=95, subsampling=0),
    "maker.jpg": lambda: sideways("JPEG", MAKER_AS_RATIONAL, quality=95, subsampling=0),
    "big_endian.jpg": lambda: sideways("JPEG", order=">", quality=95, subsampling=0),
    "cut_exif.jpg": lambda: saved("JPEG", pixels=stored_sideways(), exif=exif(orientation(6))[:-6], quality=95, subsampling=0),
    "endless_exif.jpg": lambda: jpeg(exif=b"Exif\0\0II*\0" + struct.pack("<LH", 8, 65535)),
    "odd_orientation.jpg": lambda: jpeg(exif=exif(orientation(77))),
    "text_orientation.jpg": lambda: jpeg(exif=exif((0x0112, 2, 2, b"6\0\0\0"))),
    "sideways.webp": lambda: sideways("WEBP", lossless=True),
    "sideways.png": lambda: sideways("PNG"),
    "sideways.tif": lambda: sideways("TIFF"),
    "sideways_called.jpg": lambda: sideways("WEBP", lossless=True),
    "animated.gif": lambda: animation("GIF"),
    "animated.webp": lambda: animation("WEBP"),
    "plain.bmp": lambda: saved("BMP"),
    "plain.ppm": lambda: saved("PPM"),
    "plain.jp2": lambda: saved("JPEG2000"),
    "lzw.tiff": lambda: saved("TIFF", compression="tiff_lzw"),
    "pages.tiff": pages,
}
GRAY: dict[str, Callable[[], bytes]] = {  # these show the first channel of `scene()`
    "gray_sixteen.png": lambda: saved_sixteen(scene()[..., 0]),
    "sideways_sixteen.png": lambda: saved_sixteen(stored_sideways()[..., 0], exif=exif(orientation(6))),
    "sixteen.tif": lambda: tiff(16, (scene()[..., 0] * np.uint16(257)).astype("<u2").tobytes()),
    "twelve.tif": twelve_bits,
    "gray_alpha.png": lambda: saved("PNG", "LA", scene()[..., 0]),
    "plain.pgm": lambda: saved("PPM", "L", scene()[..., 0]),
    "sixteen.pgm": lambda: b"P5 50 40 65535\n" + (scene()[..., 0] * np.uint16(257)).astype(">u2").tobytes(),
    "gray_plain.jpg": lambda: saved("JPEG", "L", scene()[..., 0], quality=95),
}
UNUSABLE: dict[str, Callable[[], bytes]] = {
    "empty.jpg": lambda: b"",
    "text.jpg": lambda: b"not an image",
    "nulls.png": lambda: bytes(1000),
    "cut.jpg": lambda: noisy_jpeg()[: len(noisy_jpeg()) // 2],
    "no_end.jpg": lambda: noisy_jpeg()[:-2],
    "twelve_bits.jpg": twelve_bit_jpeg,
    "cut.png": lambda: png(IDAT)[:-200],
    "adler.png": lambda: png(chunk(b"IDAT", zlib.compress(scanlines())[:-1] + b"\0"), IEND),
    "filter.png": lambda: png(chunk(b"IDAT", zlib.compress(b"\7" + scanlines()[1:])), IEND),
    "header.png": lambda: png(IDAT, IEND)[:29] + bytes(4) + png(IDAT, IEND)[33:],
    "bomb.png": lambda: png(chunk(b"IDAT", zlib.compress(bytes(1000))), IEND, size=(60_000, 60_000)),
    "large.png": lambda: png(chunk(b"IDAT", zlib.compress(bytes(1000))), IEND, size=(11_000, 11_000), color=0),
    "no_size.png": lambda: png(IDAT, IEND, size=(0, 0)),
    "postscript.png": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n",
    "drawing.png": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "page.jpg": lambda: b"<!DOCTYPE html><html>404</html>",
    "pointer.jpg": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "phone.jpg": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
    "document.png": lambda: b"%PDF-1.7\n",
    "floats.tif": lambda: tiff(32, bytes(4 * HEIGHT * WIDTH)),
    "cut.tif": lambda: tiff(8, bytes(99)),
    "cut.bmp": lambda: saved("BMP")[:400],
    "cut.gif": lambda: saved("GIF")[:300],
    "cut.webp": lambda: saved("WEBP")[:99],
    "numbers.ppm": lambda: b"P3 not numbers at all",
    "directory.tif": lambda: b"II*\0" + struct.pack("<L", 2**31),
}  # fmt: skip
FORMS = {**USABLE, **GRAY, **UNUSABLE}


def saved_sixteen(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels * np.uint16(257)).save(file, "PNG", **options)
    return file.getvalue()
