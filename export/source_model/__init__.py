"""The classifier to export: how it is read, and brought into the one form that all formats are made from."""
