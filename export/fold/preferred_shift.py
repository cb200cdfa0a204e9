"""How the readers of a tensor would like it to be carried."""

import numpy as np

from . import layers

MOST_SHIFT = 16.0  # standard deviations, beta over gamma: what rides on the trunk costs every later reader of it precision


def preferred_shift(network, tensor):
    """The shift, (C,), that lets the readers of a tensor begin with a bare ReLU; NaN where any will do.

    A reader that needs the tensor without a shift, such as a convolution that pads, comes first.
    """
    preferences = [_preference_of(network, reader, tensor) for reader in network.readers(tensor)]
    preferences = [preferred for preferred in preferences if preferred is not None]
    anything = np.full(tensor.shape[-1], np.nan)
    return next((preferred for preferred in preferences if not np.any(preferred)), preferences[0]) if preferences else anything


def _preference_of(network, reader, tensor):
    """As `preferred_shift`, of one reader; None where any will do."""
    layer = reader.operation
    if layers.is_norm(layer):
        return _preference_of_norm(layer) if all(layers.is_relu(r.operation) for r in network.readers(reader.output)) else None
    if layers.takes_any_shift(layer):
        return None
    if layers.is_pooling(layer) or layers.is_dropout(layer):
        return preferred_shift(network, reader.output)
    return np.zeros(tensor.shape[-1])


def _preference_of_norm(layer):
    """-c/a for `relu(a * x + c)`. NaN for channels where that is far away, as where a gamma is tiny."""
    factor, offset = layers.factor_and_offset(layer)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(offset / factor + np.asarray(layer.moving_mean, np.float64)) / layers.deviation(layer)
        return np.where(distance <= MOST_SHIFT, -offset / factor, np.nan)
