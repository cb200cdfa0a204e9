"""Distribution strategies, and the launcher that starts several workers on one machine."""
