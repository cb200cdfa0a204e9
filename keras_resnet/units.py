"""Residual units, one function each, in the order of operations of the papers' figures.

Every unit maps (N, H, W, C) -> (N, H/s, W/s, filters), `filters` being `width` (basic) or `4 * width` (bottleneck).
`strides` are those of conv1 and conv2, s their product: a bottleneck strides on its first 1x1 in the 2015 paper, on the 3x3
in "v1.5" and in the ImageNet networks of 2016. `x` is the trunk, `y` the branch; `shortcut` is one of `shortcuts.py`.
"""

import dataclasses
import math
from collections.abc import Callable

from keras_resnet.layers import add, conv, conv_norm, norm, relu

BOTTLENECK_EXPANSION = 4


def basic_v1(x, width, strides, *, shortcut, name):
    """conv-norm-relu, conv-norm, add, relu; all 3x3. He et al. 2015, arXiv:1512.03385, Figure 5 left."""
    y = conv(x, width, 3, strides[0], name=f"{name}_conv1")
    y = relu(norm(y, name=f"{name}_norm1"), name=f"{name}_relu1")
    y = conv(y, width, 3, strides[1], name=f"{name}_conv2")
    y = norm(y, name=f"{name}_norm2")
    x = shortcut(x, x, width, math.prod(strides), project=conv_norm, name=f"{name}_shortcut")
    return relu(add(x, y, name=f"{name}_add"), name=f"{name}_relu2")


def bottleneck_v1(x, width, strides, *, shortcut, name):
    """conv-norm-relu, conv-norm-relu, conv-norm, add, relu; 1x1, 3x3, 1x1. He et al. 2015, Figure 5 right.

    With `strides=(1, s)` it is the "v1.5" of fb.resnet.torch and torchvision.
    """
    filters = BOTTLENECK_EXPANSION * width
    y = conv(x, width, 1, strides[0], name=f"{name}_conv1")
    y = relu(norm(y, name=f"{name}_norm1"), name=f"{name}_relu1")
    y = conv(y, width, 3, strides[1], name=f"{name}_conv2")
    y = relu(norm(y, name=f"{name}_norm2"), name=f"{name}_relu2")
    y = conv(y, filters, 1, name=f"{name}_conv3")
    y = norm(y, name=f"{name}_norm3")
    x = shortcut(x, x, filters, math.prod(strides), project=conv_norm, name=f"{name}_shortcut")
    return relu(add(x, y, name=f"{name}_add"), name=f"{name}_relu3")


def basic_v2(x, width, strides, *, shortcut, name, activated=False):
    """norm-relu before each 3x3, nothing behind the addition. He et al. 2016, arXiv:1603.05027, Figure 1(b) and 4(e).

    `activated`: the trunk already is behind a norm and a ReLU, as it is in the first unit (2016, section 5).
    """
    y = x if activated else relu(norm(x, name=f"{name}_norm1"), name=f"{name}_relu1")
    x = shortcut(x, y, width, math.prod(strides), project=conv, name=f"{name}_shortcut")
    y = conv(y, width, 3, strides[0], name=f"{name}_conv1")
    y = relu(norm(y, name=f"{name}_norm2"), name=f"{name}_relu2")
    y = conv(y, width, 3, strides[1], name=f"{name}_conv2")
    return add(x, y, name=f"{name}_add")


def bottleneck_v2(x, width, strides, *, shortcut, name, activated=False):
    """norm-relu before each of 1x1, 3x3, 1x1, nothing behind the addition. He et al. 2016, Figure 1(b); resnet-1k-layers.

    `activated`: as in `basic_v2`.
    """
    filters = BOTTLENECK_EXPANSION * width
    y = x if activated else relu(norm(x, name=f"{name}_norm1"), name=f"{name}_relu1")
    x = shortcut(x, y, filters, math.prod(strides), project=conv, name=f"{name}_shortcut")
    y = conv(y, width, 1, strides[0], name=f"{name}_conv1")
    y = relu(norm(y, name=f"{name}_norm2"), name=f"{name}_relu2")
    y = conv(y, width, 3, strides[1], name=f"{name}_conv2")
    y = relu(norm(y, name=f"{name}_norm3"), name=f"{name}_relu3")
    y = conv(y, filters, 1, name=f"{name}_conv3")
    return add(x, y, name=f"{name}_add")


@dataclasses.dataclass(frozen=True)
class Order:
    """An order of operations inside the unit, in its two blocks.

    preactivated: the unit begins with its activation. The first unit then takes the stem's instead of a second one, and one
        more follows the last unit (He et al. 2016, section 5, "The first/last Residual Units").
    """

    basic: Callable
    bottleneck: Callable
    preactivated: bool


UNITS = {
    "original": Order(basic_v1, bottleneck_v1, preactivated=False),
    "full_preactivation": Order(basic_v2, bottleneck_v2, preactivated=True),
}
