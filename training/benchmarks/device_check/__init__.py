"""`make device-check`: what only a machine with a GPU can show, in a few minutes, from one script, in one JSON file."""
