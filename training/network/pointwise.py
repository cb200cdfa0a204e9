"""1x1 convolutions whose kernels' gradients are matrix products, which on CPUs take half the time of oneDNN's convolutions."""

from collections.abc import Callable

import keras
import tensorflow as tf


def use_matrix_products(model: keras.Model) -> None:
    """Changes how the 1x1 convolutions of a network compute the gradients of their kernels, if there is no GPU."""
    if tf.config.list_logical_devices("GPU"):
        return
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D) or layer.compute_dtype != "float32":
            continue
        if layer.kernel_size == layer.strides == (1, 1) and layer.groups == 1:
            layer.__dict__["convolution_op"] = pointwise_convolution  # Keras documents this method as the one to replace


@tf.custom_gradient
def pointwise_convolution(images: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """A 1x1 convolution: (N, H, W, C), (1, 1, C, F) -> (N, H, W, F)."""

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        options = {"strides": [1, 1, 1, 1], "padding": "VALID"}
        dx = tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(images), filter=kernel, out_backprop=dy, **options)
        rows, errors = (tf.reshape(each, (-1, each.shape[-1])) for each in (images, dy))
        return dx, tf.reshape(tf.matmul(rows, errors, transpose_a=True), kernel.shape)

    return tf.nn.conv2d(images, kernel, 1, "VALID"), gradient
