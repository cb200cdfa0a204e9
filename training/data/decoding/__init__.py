"""Encoded images made into pixels: for evaluation as Pillow decodes them, for training by TensorFlow where that is the same."""
