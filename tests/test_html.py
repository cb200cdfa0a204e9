"""Catches a report that needs other files, or that a class's name breaks."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from keras_resnet import html


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_has_other_pixels_than_the_image(channels, rng):
    image = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(html.png(image)).reshape(image.shape), image)


def test_an_image_is_enlarged_or_its_shape_is_lost():
    image = np.zeros((40, 20, 3), np.uint8)
    assert decoded(html.png(image, max_side=10)).shape == (10, 5, 3)
    assert decoded(html.png(image, max_side=100)).shape == (40, 20, 3)


def test_an_img_is_not_self_contained_or_its_text_ends_the_tag():
    content = html.png(np.zeros((2, 2, 1), np.uint8))
    tag = html.img(content, 'a "b" <c>', pixelated=True)
    [uri] = re.findall(r'src="data:image/png;base64,([^"]*)"', tag)
    assert base64.b64decode(uri) == content
    assert 'alt="a &quot;b&quot; &lt;c&gt;"' in tag
    assert "class=pixelated" in tag
    assert "pixelated" not in html.img(content, "")


def test_a_cells_text_is_taken_for_html():
    assert html.table(["<x>", 1], [["a & b", 2.5]]) == (
        "<table>\n<tr><th>&lt;x&gt;<th>1</tr>\n<tr><td>a &amp; b<td>2.5</tr>\n</table>"
    )
