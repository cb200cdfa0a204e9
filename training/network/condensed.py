"""Networks in which one unit stands for all that are alike, which are built in the time of a shallow one."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from keras_resnet.models.naming import UnitLayer
from keras_resnet.models.residual_units import ResidualUnit
from keras_resnet.models.unit_specs import UnitRun

Initializers = dict[str, Callable[..., Any]]  # by the path of the variable


@dataclasses.dataclass(frozen=True, eq=False)
class CondensedRun:
    """Units that are alike, and the one that was built for them, the first.

    Attributes:
        specs: of all of them.
        entering, leaving: the skip path before and after the one that was built.
        unit: that one, (N, H, W, C) -> (N, H', W', C').
        initializers: for the others, those of its variables.
    """

    specs: UnitRun
    entering: KerasTensor
    leaving: KerasTensor
    unit: keras.Model
    initializers: tuple[Initializers, ...]

    def initial_values(self, variable: keras.Variable) -> np.ndarray:
        """The values that a variable of the unit has at first, in all units: (units, *shape)."""
        others = [by_path[variable.path](variable.shape, dtype=variable.dtype) for by_path in self.initializers]
        return np.stack([np.asarray(keras.ops.convert_to_numpy(value)) for value in (variable, *others)])

    def layer_names(self, layer: keras.Layer) -> list[str]:
        """The names that a layer of the unit has in the whole network, one for each unit."""
        return [spec.name + layer.name.removeprefix(self.specs[0].name) for spec in self.specs]


class Condenser:
    """Builds one unit of each run. `add_units` is for `builder.build`; after that, `runs` are there.

    Random numbers are drawn in the order of the whole network, which begins with the same weights if the seed is the same.
    """

    def __init__(self) -> None:
        self.runs: list[CondensedRun] = []

    def add_units(self, x: KerasTensor, unit: ResidualUnit, runs: list[UnitRun]) -> KerasTensor:
        """Adds the first unit of each run to the skip path."""
        for run in runs:
            first, *others = run
            y = unit(x, **first.arguments())
            model = keras.Model(x, y, name=first.name)
            self.runs.append(CondensedRun(run, x, y, model, tuple(new_initializers(model.layers) for _ in others)))
            x = y
        return x


def new_initializers(layers: Sequence[keras.Layer]) -> Initializers:
    """Makes the initializers that another unit of these layers has."""
    initializers = {}
    for layer in in_order_of_construction(layers):
        if isinstance(layer, keras.layers.Dropout):
            type(layer).from_config(layer.get_config())  # draws a seed too
        for variable in layer.weights:
            initializers[variable.path] = getattr(layer, f"{variable.name}_initializer").clone()
    return initializers


def in_order_of_construction(layers: Sequence[keras.Layer]) -> Iterator[keras.Layer]:
    """Yields the layers of a unit in the order in which `ResidualUnit` makes them: those before and on the shortcut first."""
    on_branch = [layer for layer in layers if not on_shortcut(layer)]
    yield from (layer for layer in layers if on_shortcut(layer))
    yield from on_branch


def on_shortcut(layer: keras.Layer) -> bool:
    parsed = UnitLayer.parse(layer.name)
    return parsed is not None and parsed.shortcut_operation is not None
