"""Tables of images and labels: CSV and parquet."""
