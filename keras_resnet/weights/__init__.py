"""Weights from files: the zoo's own, and those of other people's networks, exactly."""
