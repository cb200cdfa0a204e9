"""TFLite files, for LiteRT."""
