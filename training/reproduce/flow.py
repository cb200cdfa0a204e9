"""Follows gradients, activations and what each unit adds through a network, at the start and after each epoch."""

import math
from typing import Any

from keras_resnet.analysis import gradient_norms, unit_contributions

from ..config import TrainConfig
from ..context import TrainingContext, create_context

IMAGES = 64  # that are looked at: the first of those that are held out


def follow(config: TrainConfig) -> list[dict[str, Any]]:
    """Trains without checkpoints, and measures before the first step and after each epoch.

    Returns:
        A record per moment: `epoch`; `train_loss`, the mean of that epoch; and `gradients` and `contributions`, what
        `analysis.gradient_norms` and `analysis.unit_contributions` find with the statistics of the batch. The last record is
        of the epoch in which the loss stopped being finite, if it did.
    """
    context = create_context(config)
    model = context.classifier()
    examples = context.validation_split.take(slice(IMAGES)).readable()
    images, labels = examples.images[:], examples.labels

    def measure(epoch: int, loss: float | None) -> dict[str, Any]:
        context.network.copy_to(model)
        gradients = gradient_norms(model, images, labels, training=True)
        contributions = unit_contributions(model, images, training=True)
        return {
            "epoch": epoch,
            "train_loss": loss,
            "gradients": gradients.to_dict(),
            "contributions": contributions.to_dict(),
        }

    moments = [measure(0, None)]
    for epoch in range(config.recipe.epochs):
        loss = train_epoch(context, epoch)
        moments.append(measure(epoch + 1, loss))
        if not math.isfinite(loss):
            break
    return moments


def train_epoch(context: TrainingContext, epoch: int) -> float:
    """The mean loss of an epoch; of its steps so far, if that is not finite."""
    loss = math.nan
    for output in context.loop.train(context.train_batches(epoch)):
        loss = output.sums.means()["loss"]
        if not math.isfinite(loss):
            break
    return loss
