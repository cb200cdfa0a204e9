"""What takes the place of strides: a convolution or a maximum keeps the resolution, and a mean of neighbours reduces it."""

from collections.abc import Callable

from keras import KerasTensor

from keras_resnet.rows import Row, choose

from .layers import average_pool, reflect
from .naming import sublayer

Reduce = Callable[..., KerasTensor]  # reduce(x, stride, name=...): (N, H, W, C) -> (N, H/stride, W/stride, C)


def blur(x: KerasTensor, stride: int, *, name: str) -> KerasTensor:
    """The binomial filter (1, 2, 1)/4 along both axes, at reflected edges: two means of 2x2 pixels after each other."""
    return average_pool(average_pool(reflect(x), 1, name=sublayer(name, "blur")), stride, name=name)


def average(x: KerasTensor, stride: int, *, name: str) -> KerasTensor:
    """The mean of 2x2 pixels, if there is a stride; an odd last row or column is left out."""
    return average_pool(x, stride, name=name) if stride > 1 else x


ANTIALIASING = {
    "none": Row(None, "a stride"),
    "blur": Row(blur, "Zhang 2019, arXiv:1904.11486, Tri-3; timm's resnetblur*"),
    "avg": Row(average, "timm's resnetaa*"),
}


def get_antialiasing(text: str) -> Reduce | None:
    """The filter of that name, or None where strides stay.

    Raises:
        UserError: for an unknown name.
    """
    return choose(ANTIALIASING, text, "antialias filter")
