"""The pictures of an experiment: every run's curve with the median of its arm, and where the runs end."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_resnet.files import atomic

from .measures import MEASURES, number
from .results import RunResult
from .statistics import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Runs = Mapping[str, Sequence[RunResult]]  # by the label of their arm
LOSS_FLOOR = 1e-4  # of the logarithmic scale
FLOW = (  # what is drawn of a moment, with its title
    ("gradients", "output_gradient_rms", "gradient by the unit's output"),
    ("gradients", "kernel_gradients", "gradient by the unit's kernels"),
    ("gradients", "output_rms", "output of the unit"),
    ("contributions", "ratios", "branch / skip path"),
)


def training_figure(runs: Runs, dark: bool = False) -> "Figure":
    """Loss and held-out error by epoch, and the test error: a thin line or a dot per run, a thick one per median."""
    from matplotlib.figure import Figure
    from matplotlib.style import context
    from matplotlib.ticker import MaxNLocator

    with context("dark_background" if dark else "default"):
        figure = Figure(figsize=(13, 4.2 if len(runs) < 9 else 5.2), layout="constrained")
        loss, error, end = figure.subplots(1, 3, width_ratios=(3, 3, 2.6))
        for of_arm, color in zip(runs.values(), colors(len(runs)), strict=False):
            curves(loss, of_arm, lambda line: max(number(line.get("loss")), LOSS_FLOOR), color)
            curves(error, of_arm, lambda line: 100 * (1 - number(line.get("val_accuracy"))), color)
        loss.set(title="training loss", xlabel="epoch", yscale="log")
        error.set(title="held-out error, %", xlabel="epoch")
        for axes in (loss, error):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.3)
        dots(end, runs)
        return figure


def curves(axes: "Axes", runs: Sequence[RunResult], value: Callable[[Mapping[str, Any]], float], color: str) -> None:
    """One arm: its runs thin, as far as they came, and the median of those that came as far thick."""
    lines = [[value(epoch) for epoch in run.epochs] for run in runs]
    for line in lines:
        axes.plot(range(1, len(line) + 1), with_gaps(line), color=color, alpha=0.35, lw=0.8)
    longest = max(map(len, lines), default=0)
    middle = [median([line[epoch] for line in lines if epoch < len(line)]) for epoch in range(longest)]
    axes.plot(range(1, longest + 1), with_gaps(middle), color=color, lw=2)


def dots(axes: "Axes", runs: Runs) -> None:
    """The test error of each run, with the median of its arm; a run that diverged is at the right edge."""
    measure, rows = MEASURES["test_error"], len(runs)
    found = {arm: [min(measure.of(run), 100.0) for run in of_arm] for arm, of_arm in runs.items()}
    for row, (values, color) in enumerate(zip(found.values(), colors(rows), strict=False)):
        if values:
            axes.plot(values, [row] * len(values), "o", color=color, alpha=0.6, ms=5)
            axes.plot([median(values)] * 2, [row - 0.3, row + 0.3], color=color, lw=2)
    axes.set(title="test error, %", yticks=range(rows), yticklabels=list(found), ylim=(rows - 0.5, -0.5))
    if any(value > 20 for values in found.values() for value in values):
        axes.set_xscale("symlog", linthresh=5)
        axes.set_xticks([0, 2, 5, 10, 20, 50, 100], labels=["0", "2", "5", "10", "20", "50", "100"])
    for text, color in zip(axes.get_yticklabels(), colors(rows), strict=False):
        text.set_color(color)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)


def flow_figure(runs: Runs, dark: bool = False) -> "Figure":
    """Gradients, activations and contributions from the first unit to the last: dashed at the start, solid at the end."""
    from matplotlib.figure import Figure
    from matplotlib.style import context

    counts = {arm: len(of_arm[0].flow[0]["gradients"]["units"]) for arm, of_arm in runs.items() if of_arm and of_arm[0].flow}
    columns = sorted(set(counts.values())) or [0]
    with context("dark_background" if dark else "default"):
        figure = Figure(figsize=(13, 2.6 * len(FLOW)), layout="constrained")
        grid = figure.subplots(len(FLOW), len(columns), squeeze=False)
        for column, units in enumerate(columns):
            chosen = {arm: runs[arm] for arm, count in counts.items() if count == units}
            for row, (part, key, title) in enumerate(FLOW):
                axes = grid[row][column]
                for (arm, of_arm), color in zip(chosen.items(), colors(len(chosen)), strict=False):
                    unit_lines(axes, of_arm, part, key, color, arm)
                axes.set(title=title, yscale="log", xlabel="unit" if row == len(FLOW) - 1 else "")
                axes.grid(alpha=0.3)
            if chosen:
                grid[0][column].legend(frameon=False, fontsize="small")
        return figure


def unit_lines(axes: "Axes", runs: Sequence[RunResult], part: str, key: str, color: str, arm: str) -> None:
    """A line per run over the units, at the start and at the end; what a logarithm cannot show is left out."""
    for index, run in enumerate(runs):
        for moment, style in ((run.flow[0], "--"), (run.flow[-1], "-")):
            points = with_gaps(moment[part][key], log=True)
            label = arm if style == "-" and not index else None
            axes.plot(range(1, len(points) + 1), points, style, color=color, alpha=0.6, lw=1, label=label)


def with_gaps(values: Sequence[float | None], log: bool = False) -> list[float]:
    """The values, with NaN, which Matplotlib leaves out, for what the scale has no place for."""
    return [math.nan if value is None or not math.isfinite(value) or (log and value <= 0) else value for value in values]


def colors(count: int) -> list[str]:
    """As many colors, readable on white and on black."""
    return [f"C{index}" for index in range(10)] + ["deeppink"] * max(count - 10, 0)


def png(draw: Callable[..., "Figure"], runs: Runs, dark: bool) -> bytes:
    """A figure without a background, as the bytes of a PNG file for a light or a dark page."""
    buffer = io.BytesIO()
    draw(runs, dark).savefig(buffer, format="png", dpi=110, transparent=True)
    return buffer.getvalue()


def save(draw: Callable[..., "Figure"], runs: Runs, path: Path) -> None:
    """Writes the figure to a PNG file."""
    with atomic(path) as temporary:
        draw(runs).savefig(temporary, dpi=90)
