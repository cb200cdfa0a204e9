"""Draws numbers of units from the first to the last, with the stages marked. Without pyplot, which would keep every figure."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keras_resnet.models.naming import UnitLayer, sublayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("tab:blue", "tab:orange", "tab:green")  # readable on white and on black
Series = Sequence[float | None]


def new_figure(columns: int, rows: int = 1, width: float = 4.5, height: float = 3.2) -> "Figure":
    """Makes an empty figure with room for so many panels, each of `width` x `height` inches."""
    # Imported only now: a Matplotlib that is missing or broken is not to keep anybody from the numbers.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width * columns, height * rows), layout=ConstrainedLayoutEngine(h_pad=0.1))


def draw_units(units: Sequence[str], panels: Mapping[str, Mapping[str, Series]], log: bool = False) -> "Figure":
    """Draws a panel for each title, with a line for each label; None and NaN leave gaps.

    Args:
        units: the units' names.
        panels: `{title: {label: one number per unit}}`.
        log: on a logarithmic scale, where zeros leave gaps too.
    """
    figure = new_figure(len(panels))
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True):
        for (label, values), color in zip(lines.items(), COLORS, strict=False):
            points = [value if drawable(value, log) else math.nan for value in values]
            axes.plot(
                range(1, len(units) + 1),
                points,
                label=label,
                color=color,
                marker="o" if len(units) < 30 else None,
                markersize=3,
            )
        axes.set(title=title, xlabel="unit")
        if log:
            axes.set_yscale("log")
        if len(lines) > 1:
            axes.legend(frameon=False)
        mark_stages(axes, units)
    return figure


def drawable(value: float | None, log: bool) -> bool:
    """Whether a scale has a place for a number."""
    return value is not None and math.isfinite(value) and (value > 0 or not log)


def mark_stages(axes: "Axes", units: Sequence[str]) -> None:
    """Draws a line between the stages."""
    stages = [parsed.stage for name in units if (parsed := UnitLayer.parse(sublayer(name, "add")))]
    for number, (before, after) in enumerate(itertools.pairwise(stages), start=1):
        if before != after:
            axes.axvline(number + 0.5, color="gray", linewidth=0.8, linestyle=":")
    axes.grid(alpha=0.3)
