"""The forms in which the folded network carries the tensors of the original one."""

import dataclasses

import keras
import numpy as np
from keras import ops

ROUNDING = 1e-12
MOST_ADDED = 1024.0  # to a tensor; to pixels from 0 to 255 it is about 128


@dataclasses.dataclass(frozen=True)
class AffineTensor:
    """A tensor of the original, as `scale * tensor + shift` per channel; scale and shift are float64, (C,)."""

    tensor: object
    scale: np.ndarray
    shift: np.ndarray

    @classmethod
    def plain(cls, tensor):
        channels = tensor.shape[-1]
        return cls(tensor, np.ones(channels), np.zeros(channels))

    def affine(self, factor, offset):
        """factor * this + offset: no operation. What is left of a shift that the offset undoes is rounding, and is dropped."""
        shift = factor * self.shift + offset
        shift = np.where(np.abs(shift) <= ROUNDING * np.abs(offset), 0, shift)
        return dataclasses.replace(self, scale=factor * self.scale, shift=shift)

    def on(self, tensor):
        """The same form of another tensor."""
        return dataclasses.replace(self, tensor=tensor)

    def unshifted(self):
        """The same with a shift of zero: an addition where there was one, and a multiplication where that would be huge."""
        if not self.shift.any():
            return self
        if np.any(MOST_ADDED * np.abs(self.scale) < np.abs(self.shift)):
            return AffineTensor.plain(self.as_tensor())
        return AffineTensor(shifted(self.tensor, self.shift / self.scale), self.scale, np.zeros_like(self.shift))

    def as_tensor(self):
        """The original's tensor itself."""
        return shifted(scaled(self.tensor, self.scale), self.shift)

    def materialize(self, preferred=None):
        return self


def scaled(tensor, factor):
    return tensor if np.all(factor == 1) else named(ops.multiply(tensor, factor.astype(tensor.dtype)))


def shifted(tensor, offset):
    """tensor + offset. As a subtraction where nothing is added, as in taking a mean off pixels."""
    if not offset.any():
        return tensor
    if np.all(offset <= 0):
        return named(ops.subtract(tensor, (-offset).astype(tensor.dtype)))
    return named(ops.add(tensor, offset.astype(tensor.dtype)))


def named(tensor):
    """Keeps the number that Keras gives an operation, such as "add_3", from being the name of a layer of the model."""
    operation = tensor._keras_history.operation
    operation.name = f"fold_{operation.name}"
    return tensor


@dataclasses.dataclass(frozen=True)
class PendingConv:
    """A convolution that is still to be written down: it takes in whatever factor and offset its output is to have.

    source: the tensor that it reads. config: of its `Conv2D`. kernel: float64, (k, k, C, filters); bias: float64, (filters,).
    """

    source: object
    config: dict
    kernel: np.ndarray
    bias: np.ndarray

    def affine(self, factor, offset):
        """factor * this + offset, of any sign and zero too."""
        return dataclasses.replace(self, kernel=self.kernel * factor, bias=self.bias * factor + offset)

    def padded(self, before, after):
        """The same between channels of zeros."""
        kernel = np.pad(self.kernel, ((0, 0), (0, 0), (0, 0), (before, after)))
        return dataclasses.replace(self, kernel=kernel, bias=np.pad(self.bias, (before, after)))

    def materialize(self, preferred=None):
        """The convolution written down, its output in the form that is wished: a shift per channel, where not NaN."""
        return self.materialize_as(
            np.ones(len(self.bias)), np.zeros(len(self.bias)) if preferred is None else np.nan_to_num(preferred)
        )

    def as_tensor(self):
        return self.materialize().tensor

    def materialize_as(self, scale, shift):
        """`AffineTensor` with this scale and shift."""
        settings = {"filters": len(self.bias), "use_bias": True, "activation": None, "dtype": self.source.dtype}
        layer = keras.layers.Conv2D(**{**self.config, **settings, "kernel_initializer": "zeros", "bias_initializer": "zeros"})
        tensor = layer(self.source)
        layer.set_weights([self.kernel / scale, (self.bias - shift) / scale])
        return AffineTensor(tensor, scale, shift)
