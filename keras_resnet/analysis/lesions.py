"""What the network is without one of its units: Veit et al. 2016, arXiv:1605.06431."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_resnet.errors import UserError

from .autodiff import to_numpy, unchanged
from .batch import check_images, check_labels
from .figures import draw_units
from .forward import Forward, Tap
from .logits import cross_entropies, up_to_logits
from .network import Network, Unit, find_network
from .results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ELEMENTS_AT_ONCE = 2**25  # of a feature map, over all networks that run together: 128 MiB of float32


@dataclasses.dataclass(frozen=True)
class LesionStudy(Result):
    """What `lesion_study` found.

    Attributes:
        units: their names, such as "stage1_unit1".
        loss, accuracy: of the whole network: the mean cross-entropy, and the fraction of the images whose class comes first.
        losses, accuracies: of the network without the unit's branch, one number per unit. None in a plain network where
            the unit changes the shape, so that nothing can take its place.
        identities: whether nothing but x was left of the unit, and not a projection or other change of shape.
    """

    units: tuple[str, ...]
    loss: float
    accuracy: float
    losses: tuple[float | None, ...]
    accuracies: tuple[float | None, ...]
    identities: tuple[bool, ...]

    def plot(self) -> "Figure":
        """Draws loss and accuracy without each unit, beside those of the whole network."""
        whole = len(self.units)
        panels = {
            "loss": {"without the unit": self.losses, "whole network": (self.loss,) * whole},
            "accuracy": {"without the unit": self.accuracies, "whole network": (self.accuracy,) * whole},
        }
        return draw_units(self.units, panels)


def lesion_study(model: keras.Model, images: Any, labels: Any) -> LesionStudy:
    """Leaves out each unit's branch in turn, without training anew, and scores what remains. The model stays as it is.

    A unit f(h(x) + F(x)) becomes f(h(x)): where the shortcut h is the identity, as if the unit were not there. A projection,
    subsampling, padding, scaling or gate on the shortcut stays, as the next unit needs the shape. In a plain network the whole
    unit is left out.

    The networks without a unit run together, as further images of the batch that begin where their unit is. So all of them take
    one pass where the memory allows, and not one each.

    Args:
        model: a network of this zoo with a top, or a classifier with one inside, which uses its moving statistics.
        images: a batch as the model takes it, (N, H, W, C).
        labels: the classes' numbers, (N,).

    Raises:
        UserError: if the model is not such a network, or images or labels do not fit it.
    """
    network = find_network(model)
    images = check_images(network, images)
    labels = check_labels(network, labels, len(images))
    replaced = up_to_logits(network)
    possible = [unit for unit in network.units if unit.addition is not None or unit.keeps_shape]
    with unchanged():
        whole = Forward(network, replaced=replaced)
        scores = {"": score(to_numpy(whole(images)), labels)}
        together = max(1, ELEMENTS_AT_ONCE // max(1, whole.largest) - 1)
        for start in range(0, len(possible), together):
            units = possible[start : start + together]
            logits = to_numpy(run_without_each(network, images, units, replaced))
            for unit, own in zip(units, np.split(logits, len(units) + 1)[1:], strict=True):
                scores[unit.name] = score(own, labels)
    found = [scores.get(unit.name, (None, None)) for unit in network.units]
    return LesionStudy(
        tuple(unit.name for unit in network.units),
        *scores[""],
        losses=tuple(loss for loss, _ in found),
        accuracies=tuple(accuracy for _, accuracy in found),
        identities=tuple(unit.has_identity if unit.addition is not None else unit.keeps_shape for unit in network.units),
    )


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Loss and accuracy: (N, classes), (N,)."""
    return float(cross_entropies(logits, labels).mean()), float((logits.argmax(axis=1) == labels).mean())


def run_without_each(network: Network, images: np.ndarray, units: Sequence[Unit], replaced: dict[int, Any]) -> Any:
    """The logits of the whole network, then of that without each of the units: ((1 + units) * N, classes)."""
    count = len(images)
    calls, taps = dict(replaced), dict[int, Tap]()
    forward = Forward(network, replaced=calls, taps=taps)
    entered: dict[str, Any] = {}

    def with_copy(value: Any, copied: Any) -> Any:
        if forward.live:
            raise UserError(f"{network.name} reads features from inside of the network; units can be left out of a chain only")
        return keras.ops.concatenate([value, copied[:count]])  # the first images are those of the whole network

    def add(unit: Unit, pair: Any) -> Any:
        shortcut, branch = pair
        return unit.addition.operation([with_copy(shortcut, shortcut), with_copy(branch, keras.ops.zeros_like(branch[:count]))])

    def enter(unit: Unit, value: Any) -> Any:
        entered[unit.name] = value
        return value

    def leave(unit: Unit, value: Any) -> Any:
        return with_copy(value, entered.pop(unit.name))

    for unit in units:
        if unit.addition is not None:
            calls[id(unit.addition)] = lambda pair, unit=unit: add(unit, pair)
        else:
            chain(taps, id(unit.entering), lambda value, unit=unit: enter(unit, value))
            chain(taps, id(unit.leaving), lambda value, unit=unit: leave(unit, value))
    return forward(images)


def chain(taps: dict[int, Tap], key: int, tap: Tap) -> None:
    """Adds a tap after that which is there."""
    before = taps.get(key)
    taps[key] = tap if before is None else lambda value: tap(before(value))
