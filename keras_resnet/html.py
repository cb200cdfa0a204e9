"""Pieces of the HTML reports, which stand alone: images are embedded in the page."""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image


def png(image: np.ndarray, max_side: int | None = None) -> bytes:
    """A uint8 (H, W, C) image, C of 1, 3 or 4, as the bytes of a PNG file, shrunk to at most `max_side` pixels a side."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if max_side is not None:
        picture.thumbnail((max_side, max_side))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(content: bytes) -> str:
    """The bytes of a PNG file as a URI that holds them."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def img(content: bytes, alt: str, *, pixelated: bool = False) -> str:
    """An `<img>` with the bytes of a PNG file inside. pixelated: enlarged without smoothing."""
    return f'<img src="{data_uri(content)}" alt="{html.escape(alt)}"{" class=pixelated" if pixelated else ""}>'


def table(header: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    """A `<table>` of a header and rows of text."""
    lines = [f"<tr>{''.join(f'<th>{html.escape(str(cell))}' for cell in header)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{html.escape(str(cell))}' for cell in row)}</tr>" for row in rows]
    return f"<table>\n{chr(10).join(lines)}\n</table>"
