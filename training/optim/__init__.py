"""Turns gradients into new weights: optimizers, schedules, decay, clipping, averages, loss scaling."""
