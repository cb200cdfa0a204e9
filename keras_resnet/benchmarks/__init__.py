"""What all tasks of `keras-resnet benchmark` share: a process per candidate, interleaved rounds, networks in PyTorch."""
