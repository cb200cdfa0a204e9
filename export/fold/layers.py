"""What the fold has to know of Keras' layers."""

import keras
import numpy as np
from keras import layers

DROPOUTS = (layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)


def is_norm(layer):
    """A batch normalisation of channels, stock or ours."""
    return isinstance(layer, layers.BatchNormalization) and layer.axis in (-1, 3) and len(layer.input.shape) == 4


def is_relu(layer):
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return isinstance(layer, layers.Activation) and layer.activation is keras.activations.relu


def is_convolution(layer):
    """A linear one that reads all channels."""
    return type(layer) is layers.Conv2D and layer.groups == 1 and is_linear(layer) and layer.data_format == "channels_last"


def is_linear(layer):
    return layer.activation is keras.activations.linear


def is_dropout(layer):
    """Nothing, at inference."""
    return isinstance(layer, DROPOUTS) or (isinstance(layer, layers.Activation) and is_linear(layer))


def is_subsampling(layer):
    """Every stride-th pixel."""
    return is_pooling(layer) and isinstance(layer, POOLINGS) and tuple(layer.pool_size) == (1, 1)


def is_channel_padding(layer):
    """Zero channels, by a layer that was told that the channels are a spatial axis; see `models.layers.pad_channels`."""
    sides = getattr(layer, "padding", None)
    return isinstance(layer, layers.ZeroPadding2D) and layer.data_format == "channels_first" and sides[0] == (0, 0)


def is_zero_padding(layer):
    return isinstance(layer, layers.ZeroPadding2D) and layer.data_format == "channels_last"


def is_pooling(layer):
    """One to which a shift and a factor above zero make no difference. What "same" pads is no part of the result."""
    kinds = (*POOLINGS, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
    return isinstance(layer, kinds) and layer.data_format == "channels_last"


def is_rescaling(layer):
    return isinstance(layer, layers.Rescaling)


def is_dense(layer):
    return type(layer) is layers.Dense and len(layer.input.shape) == 2


def pads(layer):
    """Whether a convolution pads its input with zeros."""
    return layer.padding != "valid" and tuple(layer.kernel_size) != (1, 1)


def takes_any_shift(layer):
    """A reader to which it is all the same whether a tensor comes with a shift."""
    others = (is_dense, is_rescaling, is_subsampling, is_channel_padding)
    if is_convolution(layer):
        return not pads(layer)
    return isinstance(layer, layers.Add) or any(test(layer) for test in others)


def factor_and_offset(layer):
    """Of a norm at inference or a rescaling: the float64 a and c of a * x + c, each (C,) or a number."""
    if is_rescaling(layer):
        return np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
    factor = 1 / deviation(layer)
    if layer.scale:
        factor = factor * np.asarray(layer.gamma, np.float64)
    beta = np.asarray(layer.beta, np.float64) if layer.center else 0.0
    return factor, beta - factor * np.asarray(layer.moving_mean, np.float64)


def deviation(layer):
    """The standard deviation that a norm divides by."""
    return np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
