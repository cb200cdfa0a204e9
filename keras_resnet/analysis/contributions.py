"""What each unit adds to the skip path."""

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .autodiff import to_numpy, unchanged
from .batch import check_images
from .figures import draw_units
from .forward import Forward, Tap
from .network import Unit, find_network
from .results import Result, mean_where_finite, norms_per_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class UnitContributions(Result):
    """What `unit_contributions` found: one number per unit, in the order of the network, each the mean over the images.

    A unit computes x' = f(h(x) + F(x)). With identities, h(x) = x and f(y) = y, what leaves a stage is what entered it plus
    what the units added: x_L = x_l + sum of F (2016, Eq. 4). That is the case in order `full_preactivation` and the like,
    where `deviations` are 0. In order `original` f is a ReLU, which changes the sum in every unit.

    Attributes:
        units: their names, such as "stage1_unit1".
        branches: the L2 norm of F(x), as it is added; in a plain network, of all that the unit computes.
        shortcuts: the L2 norm of h(x); None in a plain network, which has none.
        inputs: the L2 norm of x.
        ratios: the norm of F(x) divided by that of x; None in a plain network.
        cosines: of the angle between F(x) and h(x), which is x where the shortcut is the identity; None in a plain network, and
            where one of the two is zero.
        starts: whether a new sum begins with the unit's h(x): in the first unit, and where h(x) is not x.
        sums: the L2 norm of that h(x) plus all F(x) since, this unit's included; None in a plain network.
        outputs: the L2 norm of x'.
        deviations: the L2 norm of the difference between x' and the sum, divided by that of the sum; None in a plain network.
    """

    units: tuple[str, ...]
    branches: tuple[float, ...]
    shortcuts: tuple[float | None, ...]
    inputs: tuple[float, ...]
    ratios: tuple[float | None, ...]
    cosines: tuple[float | None, ...]
    starts: tuple[bool, ...]
    sums: tuple[float | None, ...]
    outputs: tuple[float, ...]
    deviations: tuple[float | None, ...]

    def plot(self) -> "Figure":
        """Draws both paths and their sum, the ratio of the norms, and the cosine, from the first unit to the last."""
        panels = {
            "norm": {"branch F(x)": self.branches, "shortcut h(x)": self.shortcuts, "sum since the start": self.sums},
            "branch / input": {"": self.ratios},
            "cosine of branch and shortcut": {"": self.cosines},
        }
        return draw_units(self.units, panels)


def unit_contributions(model: keras.Model, images: Any, *, training: bool = False) -> UnitContributions:
    """Measures the branch of each unit against its shortcut, and how their sum grows, in one pass. The model stays as it is.

    Args:
        model: a network of this zoo, or a classifier with one inside.
        images: a batch as the model takes it, (N, H, W, C).
        training: normalize with the statistics of the batch, and drop out, as in training; False: with the moving statistics,
            which in a network that was not trained are not those of its images.

    Raises:
        UserError: if the model is not such a network, or the images do not fit it.
    """
    network = find_network(model)
    images = check_images(network, images)
    meter = Meter()
    taps: dict[int, Tap] = {id(unit.entering): meter.enter for unit in network.units}
    replaced = {}
    for unit in network.units:
        taps[id(unit.leaving)] = lambda value, unit=unit: meter.leave(unit, value)
        if unit.addition is not None:
            replaced[id(unit.addition)] = lambda pair, unit=unit: meter.add(unit, pair)
    with unchanged():
        Forward(network, training=training, taps=taps, replaced=replaced)(images)
    rows = [meter.rows[unit.name] for unit in network.units]
    columns = {name: tuple(row[name] for row in rows) for name in rows[0]}
    return UnitContributions(tuple(unit.name for unit in network.units), **columns)


class Meter:
    """Follows the skip path and writes down a row for each unit.

    Attributes:
        rows: by the unit's name.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self._x: np.ndarray = np.zeros(0)
        self._sum: np.ndarray | None = None

    def enter(self, value: Any) -> Any:
        """Sees the skip path before the next unit."""
        self._x = to_numpy(value)
        return value

    def add(self, unit: Unit, pair: Any) -> Any:
        """Stands in for the unit's addition."""
        shortcut, branch = map(to_numpy, pair)
        starts = self._sum is None or not unit.has_identity
        # In the order of the network and in its precision: where nothing but additions happens, the two are equal to the bit.
        self._sum = shortcut + branch if starts or self._sum is None else self._sum + branch
        branches, shortcuts, inputs = map(norms_per_image, (branch, shortcut, self._x))
        products = (np.asarray(branch, np.float64) * shortcut).reshape(len(branch), -1).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.rows[unit.name] = {
                "branches": float(branches.mean()),
                "shortcuts": float(shortcuts.mean()),
                "inputs": float(inputs.mean()),
                "ratios": mean_where_finite(branches / inputs),
                "cosines": mean_where_finite(products / (branches * shortcuts)),
                "starts": starts,
                "sums": mean_norm(self._sum),
            }
        return unit.addition.operation(pair)

    def leave(self, unit: Unit, value: Any) -> Any:
        """Sees the skip path after the unit."""
        output = to_numpy(value)
        if unit.addition is None or self._sum is None:
            without = dict.fromkeys(("shortcuts", "ratios", "cosines", "sums", "deviations"))
            norms = {"branches": mean_norm(output), "inputs": mean_norm(self._x)}
            self.rows[unit.name] = {**without, **norms, "starts": False}
        else:
            changes = norms_per_image(np.asarray(output, np.float64) - self._sum)
            with np.errstate(divide="ignore", invalid="ignore"):
                self.rows[unit.name]["deviations"] = mean_where_finite(changes / norms_per_image(self._sum))
        self.rows[unit.name]["outputs"] = mean_norm(output)
        self._x = output
        return value


def mean_norm(array: np.ndarray) -> float:
    """The mean over the images of the L2 norm of each."""
    return float(norms_per_image(array).mean())
