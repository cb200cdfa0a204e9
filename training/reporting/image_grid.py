"""Images as PNG files, and many of them side by side in one."""

import base64
import io

import numpy as np
from PIL import Image


def png(image, largest=256):
    """A uint8 (H, W, C) image as the bytes of a PNG file, shrunk to at most `largest` pixels a side."""
    picture = Image.fromarray(image if image.shape[-1] in (3, 4) else image[..., 0])
    picture.thumbnail((largest, largest))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(content):
    """The bytes of a PNG file as an address that holds them."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def contact_sheet(images, columns=8, tile=64):
    """Images side by side, uint8 (N, H, W, C) -> (rows * h, columns * w, C); small ones are enlarged to about `tile` pixels."""
    zoom = max(1, tile // max(images.shape[1:3]))
    images = images.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, channels), images.dtype)
    sheet[:count] = images
    return (
        sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    )
