"""`curves.png`: loss, accuracy and learning rate of a run by epoch."""

import math

from matplotlib.figure import Figure

from keras_resnet.files import atomic

PANELS = {
    "loss": {"loss": "training", "val_loss": "validation"},
    "accuracy": {"accuracy": "training", "val_accuracy": "validation"},
    "learning rate": {"learning_rate": None},
}


def draw_curves(records, path):
    """`records`: those of `metrics.jsonl`; the ones without an epoch are passed over."""
    epochs = [record for record in records if "epoch" in record]
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    for axes, (title, series) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for key, label in series.items():
            axes.plot([record["epoch"] for record in epochs], [record.get(key, math.nan) for record in epochs], label=label)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        if len(series) > 1:
            axes.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)
