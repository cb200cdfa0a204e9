"""From a data set to `model.keras`: recipes, data, the loop, checkpoints, logs."""
