"""Convolutions whose kernels have mean 0 and variance 1, filter by filter."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_resnet.grouped_convolution import Conv2D

EPSILON = 1e-8  # of the variance: timm's for the networks of BiT, whose own code has 1e-10


@keras.saving.register_keras_serializable(package="keras_resnet")
class StandardizedConv2D(Conv2D):
    """`keras.layers.Conv2D` with weight standardization: (N, H, W, C) -> (N, H', W', filters).

    Qiao et al. 2019, arXiv:1903.10520; Kolesnikov et al. 2020 (BiT), arXiv:1912.11370. The weights are the kernel as it is
    trained. `to_stock` makes a `keras.layers.Conv2D` of it, with the standardized kernel, which computes the same.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:  # the hook that Keras has for this
        dtype = keras.backend.standardize_dtype(kernel.dtype)
        wide = ops.cast(kernel, "float32") if dtype in ("float16", "bfloat16") else kernel
        return super().convolution_op(inputs, ops.cast(standardized(wide, ops), dtype))

    def standardized_kernel(self) -> np.ndarray:
        """The kernel that the images meet, in double precision."""
        return standardized(np.asarray(ops.convert_to_numpy(self.kernel), np.float64), np)


def standardized(kernel: Any, library: Any) -> Any:
    """(kernel - mean) / sqrt(variance + epsilon) over all but the last axis. library: `keras.ops` or NumPy."""
    axes = (0, 1, 2)
    centered = kernel - library.mean(kernel, axis=axes, keepdims=True)
    return centered / library.sqrt(library.mean(library.square(centered), axis=axes, keepdims=True) + EPSILON)
