"""`curves.png`: loss, accuracy, learning rate and gradient norm of a run by epoch, as far as they were recorded."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_resnet.files import atomic
from keras_resnet.remote import AnyPath

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "loss": {"loss": "training", "val_loss": "validation"},
    "accuracy": {"accuracy": "training", "val_accuracy": "validation"},
    "learning rate": {"learning_rate": "learning rate"},
    "gradient norm": {"gradient_norm": "gradient norm"},
}
Record = Mapping[str, Any]  # a line of `metrics.jsonl`
COLORS = ("tab:blue", "tab:orange")  # readable on white and on black


def curves(records: Sequence[Record], dark: bool = False) -> "Figure":
    """Draws the records of `metrics.jsonl`; skips those without an epoch, and series without a number."""
    # Imported only now: a Matplotlib that is missing or broken is not to keep anybody from training.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.style import context
    from matplotlib.ticker import MaxNLocator

    epochs = [record for record in records if "epoch" in record]
    drawn = {
        title: {label: points for key, label in series.items() if (points := finite(epochs, key))}
        for title, series in PANELS.items()
    }
    drawn = {title: series for title, series in drawn.items() if series} or {"loss": {}, "accuracy": {}}
    with context("dark_background" if dark else "default"):
        rows = 1 if len(drawn) < 4 else 2
        columns = len(drawn) // rows
        figure = Figure(figsize=(4.5 * columns, 3.2 * rows), layout=ConstrainedLayoutEngine(h_pad=0.1))
        for axes, (title, series) in zip(figure.subplots(rows, columns, squeeze=False).flat, drawn.items(), strict=True):
            for (label, points), color in zip(series.items(), COLORS, strict=False):
                marker = "o" if len(points) == 1 else None
                axes.plot(*zip(*points, strict=True), label=label, color=color, marker=marker)
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.3)
            if len(series) > 1:
                axes.legend(frameon=False)
    return figure


def finite(epochs: Sequence[Record], key: str) -> list[tuple[int, float]]:
    """(epoch, value) where there is a number; where a run diverged, the record has null."""
    values = [(record["epoch"], record.get(key)) for record in epochs]
    return [(epoch, value) for epoch, value in values if isinstance(value, int | float) and math.isfinite(value)]


def draw_curves(records: Sequence[Record], path: AnyPath) -> None:
    """Writes the curves to a PNG file."""
    with atomic(path) as temporary:
        curves(records).savefig(temporary, dpi=110)


def curves_png(records: Sequence[Record], dark: bool) -> bytes:
    """Draws the same without a background, as the bytes of a PNG file for a light or a dark page."""
    buffer = io.BytesIO()
    curves(records, dark).savefig(buffer, format="png", dpi=130, transparent=True)
    return buffer.getvalue()
