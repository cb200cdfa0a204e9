"""What is known about everyone's trained weights: facts in `weights.csv`, no weights."""
