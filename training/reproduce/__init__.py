"""The papers' experiments: a table of them, their runs, and reports that say whether each claim showed."""
