"""The forms in which the folded network carries the tensors of the original one."""

import dataclasses
from typing import Any, Self, TypeAlias

import keras
import numpy as np
from keras import ops

from keras_resnet._keras_internals import producer
from keras_resnet.grouped_convolution import Conv2D

ROUNDING = 1e-12
MAX_ADDED = 1024.0  # to a tensor; to pixels from 0 to 255 it is about 128


@dataclasses.dataclass(frozen=True)
class AffineTensor:
    """A tensor of the original, as `scale * tensor + shift` per channel; scale and shift are float64, (C,)."""

    tensor: keras.KerasTensor
    scale: np.ndarray
    shift: np.ndarray

    @classmethod
    def from_tensor(cls, tensor: keras.KerasTensor) -> Self:
        """A tensor that is the original's itself. One with a single number for each image has no channels."""
        channels = tensor.shape[-1] or 1
        return cls(tensor, np.ones(channels), np.zeros(channels))

    def affine(self, factor: np.ndarray, offset: np.ndarray) -> Self:
        """factor * this + offset, without an operation. If the offset undoes a shift, the rounding that is left is dropped."""
        shift = factor * self.shift + offset
        shift = np.where(np.abs(shift) <= ROUNDING * np.abs(offset), 0, shift)
        return dataclasses.replace(self, scale=factor * self.scale, shift=shift)

    def with_tensor(self, tensor: keras.KerasTensor) -> Self:
        """Another tensor with the same scale and shift."""
        return dataclasses.replace(self, tensor=tensor)

    def unshifted(self) -> "AffineTensor":
        """The same with a shift of zero: at the cost of an addition, and of a multiplication where that would be huge."""
        if not self.shift.any():
            return self
        if np.any(MAX_ADDED * np.abs(self.scale) < np.abs(self.shift)):
            return AffineTensor.from_tensor(self.as_tensor())
        return AffineTensor(shifted(self.tensor, self.shift / self.scale), self.scale, np.zeros_like(self.shift))

    def as_tensor(self) -> keras.KerasTensor:
        """Computes the original's tensor itself."""
        return shifted(scaled(self.tensor, self.scale), self.shift)

    def materialize(self, preferred_shift: np.ndarray | None = None) -> "AffineTensor":
        """Itself: there is nothing to compute, and no free choice of a shift."""
        return self


def scaled(tensor: keras.KerasTensor, factor: np.ndarray) -> keras.KerasTensor:
    return tensor if np.all(factor == 1) else prefixed(ops.multiply(tensor, factor.astype(tensor.dtype)))


def shifted(tensor: keras.KerasTensor, offset: np.ndarray) -> keras.KerasTensor:
    """tensor + offset; a subtraction where nothing is added, as for the mean of pixels."""
    if not offset.any():
        return tensor
    if np.all(offset <= 0):
        return prefixed(ops.subtract(tensor, (-offset).astype(tensor.dtype)))
    return prefixed(ops.add(tensor, offset.astype(tensor.dtype)))


def prefixed(tensor: Any) -> keras.KerasTensor:
    """Renames the operation that made a tensor: the number that Keras gives it, as in "add_3", may be a layer of the model."""
    operation = producer(tensor)
    operation.name = f"fold_{operation.name}"
    return tensor


@dataclasses.dataclass(frozen=True)
class PendingConv:
    """A convolution that is not built yet: it absorbs whatever factor and offset its output is to have.

    Attributes:
        input: The tensor that it reads.
        config: Of its `Conv2D`.
        kernel: float64, (k, k, C/groups, filters).
        bias: float64, (filters,).
    """

    input: keras.KerasTensor
    config: dict[str, Any]
    kernel: np.ndarray
    bias: np.ndarray

    @property
    def groups(self) -> int:
        return self.config.get("groups", 1)

    def affine(self, factor: np.ndarray, offset: np.ndarray) -> Self:
        """factor * this + offset, for factors of any sign, and zero."""
        return dataclasses.replace(self, kernel=self.kernel * factor, bias=self.bias * factor + offset)

    def padded(self, before: int, after: int) -> Self:
        """The same between channels of zeros."""
        kernel = np.pad(self.kernel, ((0, 0), (0, 0), (0, 0), (before, after)))
        return dataclasses.replace(self, kernel=kernel, bias=np.pad(self.bias, (before, after)))

    def materialize(self, preferred_shift: np.ndarray | None = None) -> AffineTensor:
        """Builds the convolution, with a scale of 1 and the preferred shift per channel, where that is not NaN."""
        shift = np.zeros(len(self.bias)) if preferred_shift is None else np.nan_to_num(preferred_shift)
        return self.build(np.ones(len(self.bias)), shift)

    def as_tensor(self) -> keras.KerasTensor:
        """Computes the original's tensor itself."""
        return self.materialize().tensor

    def build(self, scale: np.ndarray, shift: np.ndarray) -> AffineTensor:
        """Builds the convolution such that its output has this scale and shift."""
        settings = {"filters": len(self.bias), "use_bias": True, "activation": None, "dtype": self.input.dtype}
        layer_class = keras.layers.Conv2D if self.groups == 1 else Conv2D  # whose graph does not ask for XLA
        layer = layer_class(**{**self.config, **settings, "kernel_initializer": "zeros", "bias_initializer": "zeros"})
        tensor = layer(self.input)
        layer.set_weights([self.kernel / scale, (self.bias - shift) / scale])
        return AffineTensor(tensor, scale, shift)


Value: TypeAlias = AffineTensor | PendingConv
