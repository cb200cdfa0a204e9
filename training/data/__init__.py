"""From a data set on disk to batches: splits, image folders, tensorflow-datasets, augmentation."""
