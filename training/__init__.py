"""Trains networks: everything from a dataset and a recipe to `model.keras`."""
