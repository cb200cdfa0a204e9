"""The first convolution of weights for RGB images, for images with another number of channels."""

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.models.naming import STEM_CONV
from keras_resnet.preprocessing import Preprocessing

from .matching import Tensors

if TYPE_CHECKING:
    import keras

KERNEL = STEM_CONV, "kernel"
RGB = 3


def adapt_channels(model: "keras.Model", tensors: Tensors, path: str) -> Tensors:
    """The tensors with a first kernel for as many channels as the model's images have.

    The rule is timm's (`adapt_input_conv`). One channel: the sum over R, G and B, which is what a gray image, repeated, would
    meet. Others: R, G, B, R, G, ... as often as needed, times 3/n, so that the sum over the channels stays what it was.

    Raises:
        UserError: if the file's kernel does not read three channels.
    """
    kernel = tensors.get(KERNEL)
    channels = model.get_layer(STEM_CONV).kernel.shape[2]
    if kernel is None or kernel.ndim != 4 or kernel.shape[2] == channels:
        return tensors
    if kernel.shape[2] != RGB:
        raise UserError(
            f"{path} is for images of {kernel.shape[2]} channels, and {model.name} reads {channels}: only from "
            f"{RGB} channels are there rules to others"
        )
    kernel = kernel.astype(np.float32)
    if channels == 1:
        adapted = kernel.sum(axis=2, keepdims=True)
    else:
        adapted = np.tile(kernel, (1, 1, math.ceil(channels / RGB), 1))[:, :, :channels] * np.float32(RGB / channels)
    return {**tensors, KERNEL: adapted}


def adapt_preprocessing(preprocessing: Preprocessing | None, channels: int) -> Preprocessing | None:
    """How images of so many channels are prepared: mean and std are the means of those of R, G and B, as timm has them."""
    if preprocessing is None or preprocessing.channels == channels:
        return preprocessing
    mean, std = ((float(np.mean(values)),) * channels for values in (preprocessing.mean, preprocessing.std))
    return dataclasses.replace(preprocessing, channels=channels, mean=mean, std=std, channel_order="rgb")
