"""Where images lie in large files, found out once and without reading them; one module for each format."""
