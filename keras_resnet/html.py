"""Builds pieces of the HTML reports. The pages are self-contained: images are embedded."""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image


def png(image: np.ndarray, max_side: int | None = None) -> bytes:
    """A uint8 (H, W, C) image, C of 1, 3 or 4, as the bytes of a PNG file, shrunk to at most `max_side` pixels per side."""
    pil_image = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if max_side is not None:
        pil_image.thumbnail((max_side, max_side))
    buffer = io.BytesIO()
    pil_image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(content: bytes) -> str:
    """Embeds the bytes of a PNG file in a `data:` URI."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def img(content: bytes, alt: str, *, pixelated: bool = False) -> str:
    """An `<img>` with the bytes of a PNG file inside; `pixelated` enlarges it without smoothing."""
    return f'<img src="{data_uri(content)}" alt="{html.escape(alt)}"{" class=pixelated" if pixelated else ""}>'


def picture(light: bytes, dark: bytes, alt: str) -> str:
    """The bytes of two PNG files, for a light and for a dark page; the browser shows one."""
    return f'<picture><source media="(prefers-color-scheme: dark)" srcset="{data_uri(dark)}">{img(light, alt)}</picture>'


def table(header: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    """A `<table>` of a header and rows of text."""
    lines = [f"<tr>{''.join(f'<th>{html.escape(str(cell))}' for cell in header)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{html.escape(str(cell))}' for cell in row)}</tr>" for row in rows]
    return f"<table>\n{chr(10).join(lines)}\n</table>"
