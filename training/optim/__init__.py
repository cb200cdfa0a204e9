"""What turns gradients into weights: optimizers, schedules, decay, clipping, averages, loss scaling."""
