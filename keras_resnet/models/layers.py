"""The layers of a ResNet as the papers had them: padding, initializer, epsilon and momentum live here, once."""

import math
from typing import Any, cast

import keras
from keras import KerasTensor

from keras_resnet.batch_normalization import BatchNormalization
from keras_resnet.errors import UserError
from keras_resnet.group_normalization import GroupNormalization
from keras_resnet.grouped_convolution import Conv2D
from keras_resnet.standardized_convolution import StandardizedConv2D

from .naming import sublayer

NORM_EPSILON = 1e-5  # Torch's default, which both papers' code used
BATCH_NORM_MOMENTUM = 0.9  # Torch's 0.1: the share of the old value, in Keras' words
NORM_GROUPS, CHANNELS_PER_GROUP = 32, 16  # Wu & He 2018, arXiv:1803.08494, section 4.1 and Table 3
CHANNELS_FIRST_HINT = "choose keras.config.set_image_data_format('channels_last'), or KERAS_BACKEND=jax or torch"


def he_normal_fan_out() -> Any:  # Keras' layers are annotated to take names only
    """Normal, std sqrt(2 / (k*k*n_out)), not truncated: He et al. 2015, arXiv:1502.01852, eq. 15, as in the papers' code."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def torch_linear() -> Any:  # Keras' layers are annotated to take names only
    """Torch's default for a fully connected layer, which the papers' code left alone: uniform within 1/sqrt(n_in)."""
    return keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")


def channel_axis() -> int:
    """The axis of the channels in `(N, H, W, C)` or `(N, C, H, W)`: -1 or 1."""
    return -1 if keras.config.image_data_format() == "channels_last" else 1


def channels(x: KerasTensor) -> int:
    """The number of channels of a feature map."""
    return x.shape[channel_axis()]


def check_data_format() -> None:
    """Raises a `UserError` for channels_first where TensorFlow lacks it: its CPU kernels come with oneDNN, in some dtypes."""
    if not channels_first_on_tensorflow():
        return
    import tensorflow as tf

    dtype = keras.config.dtype_policy().compute_dtype
    pixel = tf.zeros((1, 1, 1, 1), dtype)
    try:
        tf.nn.conv2d(pixel, pixel, 1, "VALID", "NCHW")
    except tf.errors.UnimplementedError as error:
        raise UserError(
            f"image_data_format is 'channels_first', and TensorFlow has no such convolutions of {dtype} here: "
            f"{CHANNELS_FIRST_HINT}"
        ) from error


def channels_first_on_tensorflow() -> bool:
    """Whether the networks are built for TensorFlow with the channels first."""
    return keras.backend.backend() == "tensorflow" and channel_axis() == 1


def conv(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    stride: int = 1,
    *,
    dilation: int = 1,
    groups: int = 1,
    use_bias: bool = False,
    bias: float = 0.0,
    zero: bool = False,
    standardized: bool = False,
    padding: str = "symmetric",
    name: str,
) -> KerasTensor:
    """Convolution, padded: (N, H, W, C) -> (N, ceil(H/s), ceil(W/s), filters).

    Keras' "same" pads more at the bottom right where the stride is 2; Caffe and Torch, and so the papers, pad both sides
    alike. Where the stride is 1 the two agree.

    Args:
        x: images or a feature map.
        filters: number of output channels.
        kernel_size: of the square kernel.
        stride: of the convolution.
        dilation: distance of the pixels that the kernel reads.
        groups: of channels, each of which reads those of its own group only.
        use_bias: whether there are biases, one per filter.
        bias: initial value of the biases, if there are any.
        zero: begin with a kernel of zeros.
        standardized: each filter of the kernel has mean 0 and variance 1, see `StandardizedConv2D`.
        padding: "symmetric", or Keras' "same".
        name: of the layer; a padding layer before it is called `{name}_pad`.

    Raises:
        UserError: for biases with the channels first where Keras on TensorFlow would misplace them.
    """
    bias_initializer = cast(Any, keras.initializers.Constant(bias) if bias else "zeros")
    outside = stride > 1 and padding == "symmetric"
    if outside:
        x = pad(x, kernel_size // 2, name=sublayer(name, "pad"))
    layer_class = StandardizedConv2D if standardized else keras.layers.Conv2D if groups == 1 else Conv2D
    y = layer_class(
        filters,
        kernel_size,
        stride,
        "valid" if outside else "same",
        dilation_rate=dilation,
        groups=groups,
        use_bias=use_bias,
        kernel_initializer="zeros" if zero else he_normal_fan_out(),
        bias_initializer=bias_initializer,
        name=name,
    )(x)
    # On TensorFlow, keras.ops.add takes a bias for one per column where there are as many columns as channels.
    if use_bias and y.shape[-1] in (None, filters) and channels_first_on_tensorflow():
        width = "of any width" if y.shape[-1] is None else f"{filters} pixels wide"
        raise UserError(
            f"image_data_format is 'channels_first', where Keras on TensorFlow misplaces the {filters} biases of {name} "
            f"on feature maps {width}: {CHANNELS_FIRST_HINT}"
        )
    return y


def pad(x: KerasTensor, size: int, *, name: str) -> KerasTensor:
    """Pads `size` zeros on all four sides."""
    return keras.layers.ZeroPadding2D(size, name=name)(x) if size else x


def batch_norm(x: KerasTensor, *, zero: bool = False, name: str) -> KerasTensor:
    """Applies batch normalization; `zero`: begin with gammas of zero."""
    gamma = "zeros" if zero else "ones"
    return BatchNormalization(channel_axis(), BATCH_NORM_MOMENTUM, NORM_EPSILON, gamma_initializer=gamma, name=name)(x)


def group_norm(x: KerasTensor, *, zero: bool = False, name: str) -> KerasTensor:
    """Applies group normalization, in 32 groups, or, where they do not divide the channels, of 16 channels or more.

    zero: as in `batch_norm`.
    """
    count, gamma = channels(x), cast(Any, "zeros" if zero else "ones")
    groups = NORM_GROUPS if count % NORM_GROUPS == 0 else math.gcd(count, max(1, count // CHANNELS_PER_GROUP))
    return GroupNormalization(groups, channel_axis(), NORM_EPSILON, gamma_initializer=gamma, name=name)(x)


def relu(x: KerasTensor, *, name: str) -> KerasTensor:
    """max(x, 0)."""
    return keras.layers.ReLU(name=name)(x)


def add(x: KerasTensor | None, y: KerasTensor, *, name: str) -> KerasTensor:
    """Adds the skip path and the branch; `x` is None in a plain network."""
    if x is not None and None not in (*x.shape[1:], *y.shape[1:]) and x.shape != y.shape:
        raise UserError(
            f"{name} would add feature maps of {x.shape[1:]} and {y.shape[1:]}: antialias='avg' needs images whose sides are "
            "even at every stride, such as multiples of 32"
        )
    return y if x is None else keras.layers.Add(name=name)([x, y])


def multiply(x: KerasTensor, y: KerasTensor, *, name: str) -> KerasTensor:
    """x * y, element by element."""
    return keras.layers.Multiply(name=name)([x, y])


def scale(x: KerasTensor, factor: float, offset: float = 0.0, *, name: str) -> KerasTensor:
    """factor * x + offset."""
    return keras.layers.Rescaling(factor, offset, name=name)(x)


def sigmoid(x: KerasTensor, *, name: str) -> KerasTensor:
    """1 / (1 + exp(-x))."""
    return keras.layers.Activation("sigmoid", name=name)(x)


def dropout(x: KerasTensor, rate: float, *, name: str) -> KerasTensor:
    """Sets single values to zero in training, at random."""
    return keras.layers.Dropout(rate, name=name)(x)


def drop_path(x: KerasTensor, rate: float, *, name: str) -> KerasTensor:
    """Sets whole examples to zero in training, at random, and the others to 1/(1 - rate) of what they were."""
    return keras.layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=name)(x)


def max_pool(x: KerasTensor, *, name: str) -> KerasTensor:
    """3x3 maximum, stride 2, padded alike with zeros, exact after a ReLU: (N, H, W, C) -> (N, ceil(H/2), ceil(W/2), C)."""
    return keras.layers.MaxPooling2D(3, 2, name=name)(pad(x, 1, name=sublayer(name, "pad")))


def max_pool_padded_with_neg_inf(x: KerasTensor, *, name: str) -> KerasTensor:
    """3x3 maximum, stride 2, of what is inside the image, as Torch pads: (N, H, W, C) -> (N, ceil(H/2), ceil(W/2), C).

    A stock layer pads both sides alike with minus infinity only where its stride is 1.
    """
    return subsample(overlapping_maximum(x, name=name), 2, name=sublayer(name, "subsample"))


def max_pool_same(x: KerasTensor, *, name: str) -> KerasTensor:
    """3x3 maximum, stride 2, as TensorFlow pads: more at the bottom right; (N, H, W, C) -> (N, ceil(H/2), ceil(W/2), C)."""
    return keras.layers.MaxPooling2D(3, 2, "same", name=name)(x)


def overlapping_maximum(x: KerasTensor, *, name: str) -> KerasTensor:
    """3x3 maximum of what is inside the image around each pixel: (N, H, W, C) -> (N, H, W, C)."""
    return keras.layers.MaxPooling2D(3, 1, "same", name=name)(x)


def average_pool(x: KerasTensor, stride: int, padding: str = "valid", *, name: str) -> KerasTensor:
    """The mean of 2x2 pixels: (N, H, W, C) -> (N, floor(H/s), floor(W/s), C) for a stride of 2, one pixel less for 1.

    "same" means over what is inside the image, at the bottom right too: (N, ceil(H/s), ceil(W/s), C).
    """
    if padding == "valid":
        check_neighbours(x, name)
    return keras.layers.AveragePooling2D(2, stride, padding, name=name)(x)


def reflect(x: KerasTensor) -> KerasTensor:
    """Adds on all four sides the pixels next to the outermost ones: (N, H, W, C) -> (N, H + 2, W + 2, C)."""
    check_neighbours(x, "a filter at reflected edges")
    spatial, rest = ((1, 1), (1, 1)), ((0, 0),)
    padding = (*rest, *spatial, *rest) if channel_axis() == -1 else (*rest * 2, *spatial)
    return cast(KerasTensor, keras.ops.pad(x, padding, mode="reflect"))


def check_neighbours(x: KerasTensor, name: str) -> None:
    """Raises a `UserError` for a feature map that is one pixel high or wide, as far as that is known."""
    sides = x.shape[1:3] if channel_axis() == -1 else x.shape[2:]
    if 1 in sides:
        raise UserError(f"the images are too small: {name} reads feature maps of {sides[0]}x{sides[1]}, and needs 2x2")


def subsample(x: KerasTensor, stride: int, *, name: str) -> KerasTensor:
    """Every stride-th pixel: (N, H, W, C) -> (N, ceil(H/s), ceil(W/s), C)."""
    return keras.layers.AveragePooling2D(1, stride, name=name)(x) if stride > 1 else x


def pad_channels(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """Adds zero channels, half before and half after: (N, H, W, C) -> (N, H, W, filters).

    A stock layer does it when told that the channels are a spatial axis.
    """
    before = (filters - channels(x)) // 2
    after = filters - channels(x) - before
    if channel_axis() == -1:
        padding, data_format = ((0, 0), (before, after)), "channels_first"
    else:
        padding, data_format = ((before, after), (0, 0)), "channels_last"
    return keras.layers.ZeroPadding2D(padding, data_format, name=name)(x)


def dense(x: KerasTensor, units: int, *, name: str) -> KerasTensor:
    """Applies a fully connected layer: (N, C) -> (N, units)."""
    return keras.layers.Dense(units, kernel_initializer=torch_linear(), name=name)(x)
