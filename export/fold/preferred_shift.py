"""The shift that the readers of a tensor prefer it to be carried with."""

import keras
import numpy as np

from . import layers
from .network import Network, Node

MAX_SHIFT = 16.0  # standard deviations, beta over gamma: what rides on the skip path costs every later reader of it precision


def preferred_shift(network: Network, tensor: keras.KerasTensor) -> np.ndarray:
    """The shift, (C,), that lets the readers of a tensor begin with a bare ReLU; NaN where any will do.

    A reader that needs the tensor without a shift, such as a convolution that pads, comes first.
    """
    shifts = [_preferred_by(network, reader, tensor) for reader in network.readers(tensor)]
    shifts = [shift for shift in shifts if shift is not None]
    if not shifts:
        return np.full(tensor.shape[-1], np.nan)
    return next((shift for shift in shifts if not np.any(shift)), shifts[0])


def _preferred_by(network: Network, reader: Node, tensor: keras.KerasTensor) -> np.ndarray | None:
    """As `preferred_shift`, for one reader; None if any will do."""
    layer = reader.operation
    if layers.is_norm(layer):
        return _preferred_by_norm(layer) if all(layers.is_relu(r.operation) for r in network.readers(reader.output)) else None
    if layers.accepts_any_shift(layer):
        return None
    if layers.is_pooling(layer) or layers.is_identity(layer):
        return preferred_shift(network, reader.output)
    return np.zeros(tensor.shape[-1])


def _preferred_by_norm(layer: keras.layers.BatchNormalization) -> np.ndarray:
    """-c/a for `relu(a * x + c)`; NaN for channels where that is far away, as where gamma is tiny."""
    factor, offset = layers.factor_and_offset(layer)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(offset / factor + np.asarray(layer.moving_mean, np.float64)) / layers.standard_deviation(layer)
        return np.where(distance <= MAX_SHIFT, -offset / factor, np.nan)
