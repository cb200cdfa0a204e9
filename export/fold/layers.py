"""The kinds of Keras layers that the fold knows, and the numbers of theirs that it needs."""

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_resnet.grouped_convolution import Conv2D

DROPOUTS = (layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout)
# Those of Keras that this version has; `RandomCrop` is one of its own size.
MIXES = ("RandAugment", "AugMix", "MixUp", "CutMix")
AUGMENTATIONS = tuple(
    getattr(layers, name)
    for name in dir(layers)
    if name in MIXES or (name.startswith("Random") and not name.startswith("RandomCrop"))
)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)
SHIFT_AND_SCALE_EQUIVARIANT = (*POOLINGS, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


def is_norm(layer: Any) -> bool:
    """Whether it is a batch normalization of channels, Keras' or this package's."""
    return isinstance(layer, layers.BatchNormalization) and layer.axis in (-1, 3) and input_rank(layer) == 4


def is_relu(layer: Any) -> bool:
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return isinstance(layer, layers.Activation) and layer.activation is keras.activations.relu


def is_convolution(layer: Any) -> bool:
    """Whether it is a convolution without an activation, Keras' or this package's; it may have groups."""
    return type(layer) in (layers.Conv2D, Conv2D) and is_linear(layer) and layer.data_format == "channels_last"


def is_linear(layer: Any) -> bool:
    return layer.activation is keras.activations.linear


def is_identity(layer: Any) -> bool:
    """Whether it does nothing at inference."""
    return isinstance(layer, (*DROPOUTS, *AUGMENTATIONS)) or (isinstance(layer, layers.Activation) and is_linear(layer))


def is_subsampling(layer: Any) -> bool:
    """Whether it keeps every stride-th pixel."""
    return is_pooling(layer) and isinstance(layer, POOLINGS) and tuple(layer.pool_size) == (1, 1)


def is_channel_padding(layer: Any) -> bool:
    """Whether it adds zero channels, told that the channels are a spatial axis; see `models.layers.pad_channels`."""
    return isinstance(layer, layers.ZeroPadding2D) and layer.data_format == "channels_first" and layer.padding[0] == (0, 0)


def is_zero_padding(layer: Any) -> bool:
    return isinstance(layer, layers.ZeroPadding2D) and layer.data_format == "channels_last"


def is_pooling(layer: Any) -> bool:
    """Whether a shift and a positive factor pass through it. The padding of "same" does not count in the result."""
    return isinstance(layer, SHIFT_AND_SCALE_EQUIVARIANT) and layer.data_format == "channels_last"


def is_rescaling(layer: Any) -> bool:
    return isinstance(layer, layers.Rescaling)


def is_dense(layer: Any) -> bool:
    return type(layer) is layers.Dense and input_rank(layer) == 2


def is_add(layer: Any) -> bool:
    return type(layer) is layers.Add


def is_multiply(layer: Any) -> bool:
    return type(layer) is layers.Multiply


def input_rank(layer: Any) -> int:
    return len(layer.input.shape)


def pads_with_zeros(layer: Any) -> bool:
    """Whether a convolution pads its input."""
    return layer.padding != "valid" and tuple(layer.kernel_size) != (1, 1)


def accepts_any_shift(layer: Any) -> bool:
    """Whether its input may come with any shift at no cost."""
    others = (is_dense, is_rescaling, is_subsampling, is_channel_padding)
    if is_convolution(layer):
        return not pads_with_zeros(layer)
    return isinstance(layer, layers.Add) or any(test(layer) for test in others)


def factor_and_offset(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """The float64 a and c of the a * x + c that a norm at inference or a rescaling is, each (C,) or a scalar."""
    if is_rescaling(layer):
        return np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
    factor = 1 / standard_deviation(layer)
    if layer.scale:
        factor = factor * np.asarray(layer.gamma, np.float64)
    beta = np.asarray(layer.beta, np.float64) if layer.center else 0.0
    return factor, beta - factor * np.asarray(layer.moving_mean, np.float64)


def standard_deviation(layer: Any) -> np.ndarray:
    """What a norm divides by, (C,)."""
    return np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
