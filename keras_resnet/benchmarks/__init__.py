"""What all of `keras-resnet benchmark` has in common: a process for each contestant, turns, and our networks in PyTorch."""
