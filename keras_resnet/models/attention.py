"""Channel attention: at its end, a branch is multiplied by one number for each channel, between 0 and 1."""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor

from keras_resnet.rows import Parameter, Row, choose

from .layers import channels, conv, multiply, relu, sigmoid
from .naming import sublayer

Attention = Callable[..., KerasTensor]  # attention(x, name=...): (N, H, W, C) -> (N, H, W, C)
SE_DIVISOR = 8  # of the number of squeezed channels: timm's, to which 1/16 of the papers' widths and 1/4 of ResNet-RS' come too


def no_attention(x: KerasTensor, *, name: str) -> KerasTensor:
    """Leaves the branch alone."""
    return x


def squeeze_excite(x: KerasTensor, *, ratio: float, name: str) -> KerasTensor:
    """sigmoid(W2 relu(W1 mean(x))), with biases, where W1 leaves `ratio` of the channels."""
    named = functools.partial(sublayer, sublayer(name, "se"))
    squeezed = max(SE_DIVISOR, int(channels(x) * ratio + SE_DIVISOR / 2) // SE_DIVISOR * SE_DIVISOR)
    s = global_mean(x, name=named("pool"))
    s = relu(conv(s, squeezed, 1, use_bias=True, name=named("reduce")), name=named("relu"))
    s = sigmoid(conv(s, channels(x), 1, use_bias=True, name=named("expand")), name=named("sigmoid"))
    return multiply(x, s, name=named("scale"))


def efficient_channel_attention(x: KerasTensor, *, name: str) -> KerasTensor:
    """The sigmoid of a convolution along the channels' means; its kernel grows with the logarithm of their number (eq. 12)."""
    named = functools.partial(sublayer, sublayer(name, "eca"))
    count = channels(x)
    size = int(abs(math.log2(count) + 1) / 2)
    size = max(size if size % 2 else size + 1, 3)
    means = global_mean(x, name=named("pool"))
    s = keras.layers.Reshape((count, 1), name=named("in"))(means)
    kernel: Any = keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")  # Torch's default
    s = keras.layers.Conv1D(
        1, size, padding="same", data_format="channels_last", use_bias=False, kernel_initializer=kernel, name=named("conv")
    )(s)
    s = keras.layers.Reshape(means.shape[1:], name=named("out"))(sigmoid(s, name=named("sigmoid")))
    return multiply(x, s, name=named("scale"))


def global_mean(x: KerasTensor, *, name: str) -> KerasTensor:
    """The mean of each channel: (N, H, W, C) -> (N, 1, 1, C)."""
    return keras.layers.GlobalAveragePooling2D(keepdims=True, name=name)(x)


ATTENTIONS = {
    "none": Row(no_attention, "the papers"),
    "se": Row(squeeze_excite, "Hu et al. 2018, arXiv:1709.01507", (Parameter("ratio", 1 / 16, minimum=0, limit=1.0001),)),
    "eca": Row(efficient_channel_attention, "Wang et al. 2020, arXiv:1910.03151"),
}


def get_attention(text: str) -> Attention:
    """The attention of that name, such as "se" or "se(0.25)".

    Raises:
        UserError: for an unknown name, or a number out of range.
    """
    return choose(ATTENTIONS, text, "attention")
