"""Artifacts run in processes of their own: a damaged file that crashes its runtime or fills the memory ends nothing else."""
