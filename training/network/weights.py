"""The weights that training changes: one variable for each of a network's own, one for a weight of all units of a stack."""

import dataclasses
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from .condensed import CondensedRun


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkWeight:
    """A weight of one layer, or of one layer in each of several units.

    Attributes:
        variable: what training changes: the layer's own, or (units, *shape).
        layer: the layer, or that of the one unit that was built.
        index: of the weight among those of the layer.
        layer_names: of the layer in the whole network, one per unit.
    """

    variable: keras.Variable
    layer: keras.Layer
    index: int
    layer_names: Sequence[str]

    @classmethod
    def stacked(cls, run: CondensedRun, layer: keras.Layer, index: int) -> "NetworkWeight":
        """Stacks the values that a weight has at first in all units of a run."""
        template = layer.weights[index]
        variable = keras.Variable(
            run.initial_values(template),
            dtype=template.dtype,
            trainable=template.trainable,
            aggregation=template.aggregation,
            name=f"{layer.name}_{template.name}",
        )
        return cls(variable, layer, index, run.layer_names(layer))

    @property
    def template(self) -> keras.Variable:
        """The layer's own variable."""
        return self.layer.weights[self.index]

    def values(self) -> np.ndarray:
        """The values in the layers of `layer_names`: (layers, *shape)."""
        return to_numpy(self.variable).reshape(len(self.layer_names), *self.template.shape)


def to_numpy(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))


def own_weights(layers: Iterable[keras.Layer]) -> list[NetworkWeight]:
    """The weights of layers that are not in a stack."""
    return [
        NetworkWeight(variable, layer, index, [layer.name]) for layer in layers for index, variable in enumerate(layer.weights)
    ]
