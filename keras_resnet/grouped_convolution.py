"""Keras' Conv2D with its groups on TensorFlow's own kernels."""

import functools
from collections.abc import Callable
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_resnet")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose groups do not take XLA on TensorFlow: (N, H, W, C) -> (N, H', W', filters).

    Keras 3 compiles a convolution in groups by XLA, since TensorFlow had no such kernels for CPUs. XLA's take up to 20 times as
    long as oneDNN's, which TensorFlow calls today, and its gradients 100 to 700 times. Same weights, same configuration, and
    the same numbers to float precision. It has the same class name because `.weights.h5` files are keyed by it. With one group,
    and on another backend, Keras' own code runs.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:  # the hook that Keras has for this
        if keras.backend.backend() != "tensorflow" or self.groups == 1:
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        data_format = "NHWC" if self.data_format == "channels_last" else "NCHW"
        options = {"strides": self.strides, "padding": self.padding.upper(), "dilations": self.dilation_rate}
        convolve = functools.partial(tf.nn.conv2d, data_format=data_format, **options)
        kernel = tf.convert_to_tensor(kernel)
        if not has_gradient(kernel.dtype, data_format):
            convolve = with_gradient_by_group(convolve, self.groups, -1 if data_format == "NHWC" else 1)
        return convolve(inputs, kernel)


def without_xla(layer: keras.Layer) -> type[keras.Layer]:
    """The class for a copy of a layer: this package's for a `Conv2D` of Keras with groups, for others their own."""
    return Conv2D if type(layer) is keras.layers.Conv2D and layer.groups > 1 else type(layer)


@functools.cache
def has_gradient(dtype: Any, data_format: str) -> bool:
    """Whether TensorFlow has kernels for the gradient of a convolution in groups here: cuDNN's on GPUs, oneDNN's on CPUs.

    Args:
        dtype: of the images; oneDNN has no float64, and float16 on some CPUs.
        data_format: "NHWC" or "NCHW".
    """
    import tensorflow as tf

    with tf.init_scope():  # now, also where a graph is being built
        images = tf.zeros((1, 3, 3, 4) if data_format == "NHWC" else (1, 4, 3, 3), dtype)
        kernel = tf.zeros((3, 3, 2, 4), dtype)
        options = {"out_backprop": images, "strides": [1] * 4, "padding": "SAME", "data_format": data_format}
        try:  # the tape's way to call these is closed in here
            tf.raw_ops.Conv2DBackpropInput(input_sizes=images.shape.as_list(), filter=kernel, **options)
            tf.raw_ops.Conv2DBackpropFilter(input=images, filter_sizes=kernel.shape.as_list(), **options)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def with_gradient_by_group(convolve: Callable, groups: int, channel_axis: int) -> Callable:
    """The same function of images and a kernel, with the gradient of one convolution for each group."""
    import tensorflow as tf

    @tf.custom_gradient
    def convolve_groups(images: Any, kernel: Any) -> tuple[Any, Callable]:
        def gradient(dy: Any) -> Any:
            parts = [tf.split(images, groups, channel_axis), tf.split(kernel, groups, -1)]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(parts)
                convolved = [convolve(*part) for part in zip(*parts, strict=True)]
            gradients: Any = tape.gradient(convolved, parts, tf.split(dy, groups, channel_axis))
            of_images, of_kernel = gradients
            return tf.concat(of_images, channel_axis), tf.concat(of_kernel, -1)

        return convolve(images, kernel), gradient

    return convolve_groups
