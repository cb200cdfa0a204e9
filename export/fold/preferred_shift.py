"""How the readers of a tensor would like it to be carried."""

import numpy as np

from . import layers

MOST_SHIFT = 16.0  # standard deviations, beta over gamma: what rides on the trunk costs every later reader of it precision


def wished_shift(network, tensor):
    """The shift, (C,), that lets the readers of a tensor begin with a bare ReLU; NaN where any will do.

    A reader that needs the tensor without a shift, such as a convolution that pads, comes first.
    """
    wishes = [_wish_of(network, reader, tensor) for reader in network.readers(tensor)]
    wishes = [wish for wish in wishes if wish is not None]
    anything = np.full(tensor.shape[-1], np.nan)
    return next((wish for wish in wishes if not np.any(wish)), wishes[0]) if wishes else anything


def _wish_of(network, reader, tensor):
    """As `wished_shift`, of one reader; None where any will do."""
    layer = reader.operation
    if layers.is_norm(layer):
        return _wish_of_norm(layer) if all(layers.is_relu(r.operation) for r in network.readers(reader.output)) else None
    if layers.takes_any_shift(layer):
        return None
    if layers.is_pooling(layer) or layers.is_dropout(layer):
        return wished_shift(network, reader.output)
    return np.zeros(tensor.shape[-1])


def _wish_of_norm(layer):
    """-c/a for `relu(a * x + c)`. NaN for channels where that is far away, as where a gamma is tiny."""
    factor, offset = layers.factor_and_offset(layer)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(offset / factor + np.asarray(layer.moving_mean, np.float64)) / layers.deviation(layer)
        return np.where(distance <= MOST_SHIFT, -offset / factor, np.nan)
