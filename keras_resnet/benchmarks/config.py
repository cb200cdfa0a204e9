"""Checks that both benchmarks' configurations share."""

from keras_resnet.errors import MAX_COUNT, UserError, check_at_most


def check_counts(batch_size: int, steps: int, rounds: int, fitted_to: str) -> None:
    """Raises a `UserError` unless the numbers make sense. `fitted_to`: the time per measurement where `steps` is 0."""
    for name, value in (("batch_size", batch_size), ("rounds", rounds)):
        if value < 1:
            raise UserError(f"{name} is {value}; it must be at least 1")
        check_at_most(name, value, MAX_COUNT)
    if steps < 0:
        raise UserError(f"steps is {steps}; it must be at least 1, or 0 to fit it to {fitted_to}")
    check_at_most("steps", steps, MAX_COUNT)
