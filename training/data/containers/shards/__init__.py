"""Data sets in shards: files that hold images of one split each, whatever their format."""
