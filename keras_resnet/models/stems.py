"""The stems: what reads the images, and how the units follow it."""

import dataclasses
from collections.abc import Callable

from keras import KerasTensor

from .layers import conv, max_pool, max_pool_padded_with_neg_inf, norm, relu
from .naming import STEM_CONV, STEM_NORM, STEM_POOL, STEM_RELU

# A pre-activation network's first activation comes "right after conv1 and before splitting into two paths" (He et al. 2016,
# section 5): in the paper's networks it is the norm and the ReLU of the stem, and the first unit has none of its own.


def cifar_stem(x: KerasTensor, width: int) -> KerasTensor:
    """3x3, norm, ReLU: (N, H, W, C) -> (N, H, W, width). He et al. 2015, section 4.2."""
    x = conv(x, width, 3, name=STEM_CONV)
    return relu(norm(x, name=STEM_NORM), name=STEM_RELU)


def imagenet_stem(x: KerasTensor, width: int) -> KerasTensor:
    """7x7 with stride 2, norm, ReLU, 3x3 maximum with stride 2: (N, H, W, C) -> (N, H/4, W/4, width). 2015, Table 1."""
    x = conv(x, width, 7, stride=2, name=STEM_CONV)
    x = relu(norm(x, name=STEM_NORM), name=STEM_RELU)
    return max_pool(x, name=STEM_POOL)


def slim_stem(x: KerasTensor, width: int) -> KerasTensor:
    """7x7 with stride 2 and biases, and the 3x3 maximum of its raw output, padded with zeros, as keras.applications has it."""
    return max_pool(conv(x, width, 7, stride=2, use_bias=True, name=STEM_CONV), name=STEM_POOL)


def timm_stem(x: KerasTensor, width: int) -> KerasTensor:
    """7x7 with stride 2, and the 3x3 maximum of its raw output, which padding never wins: timm's and KerasHub's v2."""
    return max_pool_padded_with_neg_inf(conv(x, width, 7, stride=2, name=STEM_CONV), name=STEM_POOL)


@dataclasses.dataclass(frozen=True)
class Stem:
    """A stem, and what the units after it depend on.

    Attributes:
        build: maps images to the input of the first unit, (N, H, W, C) -> (N, H/stem_stride, W/stem_stride, width).
        stem_width: filters of the stem's convolution in the paper's network.
        stem_stride: image pixels per pixel of the stem's output.
        ends_in_activation: the stem ends in norm and ReLU, which the first unit uses in place of its own pre-activation.
        downsample_in_last_unit: the last unit of each stage but the last carries the stride, not the first of the next one.
        use_bias: see `residual_units.ResidualUnit`.
    """

    build: Callable[[KerasTensor, int], KerasTensor]
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
