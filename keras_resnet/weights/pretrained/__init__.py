"""Trained weights that come with the package: one file for each, and `index.json`, which says what they are."""
