"""From a dataset on disk to batches: image folders, tensorflow-datasets, splits, augmentation."""
