"""Finds the residual units of a network in the graph of a model, which may be the network itself or have it inside."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, cast

import keras

from keras_resnet import _keras_internals
from keras_resnet.errors import UserError, comma_join
from keras_resnet.models import naming
from keras_resnet.models.naming import UnitLayer
from keras_resnet.recursion import raise_recursion_limit

CHANNELS_LAST = "channels_last"


@dataclasses.dataclass(frozen=True, eq=False)
class Unit:
    """One residual unit, or two or three layers of a plain network that would be one.

    Attributes:
        name: such as "stage3_unit2".
        stage: its number, from 1.
        layers: all layers of the unit, those of the shortcut included.
        entering: the skip path before the unit, x.
        addition: the call of the graph that adds the shortcut h(x) and the branch F(x), in this order; None in a plain network.
        leaving: the skip path after the unit.
    """

    name: str
    stage: int
    layers: tuple[keras.Layer, ...]
    entering: keras.KerasTensor
    addition: Any
    leaving: keras.KerasTensor

    @property
    def has_identity(self) -> bool:
        """Whether the shortcut is the skip path as it is: h(x) = x."""
        return self.addition is not None and self.addition.input_tensors[0] is self.entering

    @property
    def keeps_shape(self) -> bool:
        """Whether the skip path has the same shape before and after the unit."""
        return self.entering.shape == self.leaving.shape and not any(
            max(getattr(layer, "strides", (1,))) > 1 for layer in self.layers
        )

    @property
    def weights(self) -> list[keras.Variable]:
        """The trainable weights of all layers, in order."""
        return [weight for layer in self.layers for weight in layer.trainable_weights]


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A model, and the network of this zoo in it.

    Attributes:
        model: from images to classes or features, functional.
        inner: the graph with the units: that of the model, or of one that it calls.
        units: of the network, in order.
    """

    model: keras.Model
    inner: keras.Model
    units: tuple[Unit, ...]

    @property
    def name(self) -> str:
        return self.model.name

    @functools.cached_property
    def channels_last(self) -> bool:
        """Whether feature maps are (N, H, W, C), and not (N, C, H, W)."""
        return next(layer for layer in self.inner.layers if isinstance(layer, keras.layers.Conv2D)).data_format == CHANNELS_LAST

    def unit(self, name: str | None) -> Unit:
        """The unit of that name, by default the last one.

        Raises:
            UserError: if there is none.
        """
        by_name = {unit.name: unit for unit in self.units}
        if name is None:
            return self.units[-1]
        if name not in by_name:
            raise UserError(f"{self.name} has no unit {name!r}; its units are {comma_join(by_name, 6)}")
        return by_name[name]


def find_network(model: Any) -> Network:
    """Finds the units of a network with or without top, in fast or stock layers, alone or inside another functional model.

    Raises:
        UserError: if there is no network of this zoo in the model, or several, or the model does not show its graph.
    """
    if not isinstance(model, keras.Model):
        raise UserError(f"{model!r} is not a keras.Model")
    outer = _keras_internals.functional_part(model)
    found = {id(graph): graph for graph in graphs(model) if any(UnitLayer.parse(layer.name) for layer in graph.layers)}
    if not found or not _keras_internals.is_functional(outer):
        raise UserError(f"{model.name} is not a network of this zoo: its layers have other names")
    if len(found) > 1:
        raise UserError(f"{model.name} has {len(found)} networks of this zoo inside; pass one of them")
    if len(outer.inputs) > 1:
        raise UserError(f"{model.name} has {len(outer.inputs)} inputs; only models of one batch of images can be analyzed")
    (inner,) = found.values()
    raise_recursion_limit(len(inner.layers))
    return Network(outer, inner, tuple(units_of(inner)))


def graphs(model: keras.Model) -> Iterator[keras.Model]:
    """Yields the functional models among the layers of a model, itself included."""
    for layer in _keras_internals.all_layers(model):
        graph = _keras_internals.functional_part(layer)
        if _keras_internals.is_functional(graph):
            yield cast(keras.Model, graph)


def units_of(model: keras.Model) -> Iterator[Unit]:
    """Yields the units of the network that the graph of a model is.

    Raises:
        UserError: for a unit that reads more than the skip path.
    """
    calls: dict[tuple[int, int], list[Any]] = {}
    operations: dict[int, str] = {}
    unit_of: dict[int, tuple[int, int]] = {}  # by the `id` of a tensor that is made there
    for call in _keras_internals.graph_calls(model):
        parsed = UnitLayer.parse(call.operation.name)
        if parsed:
            unit = parsed.stage, parsed.unit
        elif not isinstance(call.operation, keras.Layer) and call.input_tensors and id(call.input_tensors[0]) in unit_of:
            unit = unit_of[id(call.input_tensors[0])]  # operations have no names of ours: the edges that a filter reflects
        else:
            continue
        calls.setdefault(unit, []).append(call)
        operations[id(call)] = parsed.operation if parsed and parsed.on_branch else ""
        unit_of.update((id(tensor), unit) for tensor in call.outputs)
    for (stage, index), own in sorted(calls.items(), key=lambda item: item[0]):
        name = naming.unit_name(stage, index)
        made = {id(tensor) for call in own for tensor in call.outputs}
        entering = {id(tensor): tensor for call in own for tensor in call.input_tensors if id(tensor) not in made}
        on_branch = [call for call in own if operations[id(call)]]
        if len(entering) != 1 or not on_branch:
            raise UserError(f"{name} of {model.name} is not a unit of this zoo: it reads {len(entering)} tensors")
        yield Unit(
            name,
            stage,
            tuple(call.operation for call in own if isinstance(call.operation, keras.Layer)),
            next(iter(entering.values())),
            next((call for call in on_branch if operations[id(call)] == naming.ADD), None),
            on_branch[-1].outputs[0],
        )
