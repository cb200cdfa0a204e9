"""Loads weights from files: the zoo's own, and those of other libraries, exactly."""
