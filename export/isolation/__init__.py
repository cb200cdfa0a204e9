"""Artifacts run in processes of their own: a damaged file that ends its runtime, or fills the memory, ends that process only."""
