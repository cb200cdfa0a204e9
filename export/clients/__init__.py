"""What other people's runtimes make of the artifacts: each client runs in an environment of its own, by a small script."""
