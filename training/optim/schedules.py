"""The learning rate as a function of the step, from Keras' own schedules."""

import keras

from ..recipes import Recipe


def learning_rate_schedule(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Makes a Keras schedule over a run of `steps` steps; see `Recipe` for the meaning of its fields."""
    warmup, peak = round(recipe.warmup * steps), recipe.learning_rate
    if recipe.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else peak,
            decay_steps=max(1, steps - warmup),
            warmup_target=peak if warmup else None,
            warmup_steps=warmup,
        )
    boundaries = [round(share * steps) for share in recipe.milestones]
    values = [peak * 0.1**drop for drop in range(len(boundaries) + 1)]
    if warmup:
        boundaries, values = [warmup, *boundaries], [0.1 * peak, *values]
    # Keras keeps a value up to and including its boundary: for the rate to change at step s, the boundary is s-1.
    return keras.optimizers.schedules.PiecewiseConstantDecay([boundary - 1 for boundary in boundaries], values)
