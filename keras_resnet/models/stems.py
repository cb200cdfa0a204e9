"""What is around the units: the stem, and in which unit of a stage the stride lies."""

import dataclasses
from collections.abc import Callable

from .layers import conv, max_pool, max_pool_padded_with_neg_inf, norm, relu

# A pre-activation network's first activation comes "right after conv1 and before splitting into two paths" (He et al. 2016,
# section 5): in the paper's layout it is the norm and the ReLU of the stem, and the first unit has none of its own.


def cifar_stem(x, width):
    """3x3, norm, ReLU: (N, H, W, C) -> (N, H, W, width). He et al. 2015, section 4.2."""
    x = conv(x, width, 3, name="stem_conv")
    return relu(norm(x, name="stem_norm"), name="stem_relu")


def imagenet_stem(x, width):
    """7x7 with stride 2, norm, ReLU, 3x3 maximum with stride 2: (N, H, W, C) -> (N, H/4, W/4, width). 2015, Table 1."""
    x = conv(x, width, 7, stride=2, name="stem_conv")
    x = relu(norm(x, name="stem_norm"), name="stem_relu")
    return max_pool(x, name="stem_pool")


def slim_stem(x, width):
    """7x7 with stride 2 and biases, and the 3x3 maximum of its raw output, padded with zeros, as keras.applications has it."""
    return max_pool(conv(x, width, 7, stride=2, use_bias=True, name="stem_conv"), name="stem_pool")


def timm_stem(x, width):
    """7x7 with stride 2, and the 3x3 maximum of its raw output, which padding never wins: timm's and KerasHub's v2."""
    return max_pool_padded_with_neg_inf(conv(x, width, 7, stride=2, name="stem_conv"), name="stem_pool")


@dataclasses.dataclass(frozen=True)
class Stem:
    """build, stem_width, stem_stride: the layers, width and stride of the stem, and how the units follow it.

    ends_in_activation: the stem ends in an activation, and the first unit takes that in place of its own. downsample_in_last_unit: the last unit
    of each stage but the last carries the stride, not the first of the next. use_bias: see `residual_units.ResidualUnit`.
    """

    build: Callable
    stem_width: int
    stem_stride: int
    ends_in_activation: bool = True
    downsample_in_last_unit: bool = False
    use_bias: bool = False


STEMS = {
    "cifar": Stem(cifar_stem, 16, 1),
    "imagenet": Stem(imagenet_stem, 64, 4),
    "slim": Stem(slim_stem, 64, 4, ends_in_activation=False, downsample_in_last_unit=True, use_bias=True),
    "timm": Stem(timm_stem, 64, 4, ends_in_activation=False),
}
