"""The network that a run trains: built or loaded, parts of it frozen, its units run one by one or in loops."""
