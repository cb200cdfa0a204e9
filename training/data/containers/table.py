"""The table of containers: one row for each value of `--dataset` that is not a data set of tensorflow-datasets."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from .archive import list_tar, list_zip
from .csv_manifest import list_csv
from .folder import list_folder
from .listing import Listing
from .parquet import list_parquet
from .tfrecord import list_tfrecord
from .webdataset import list_webdataset

FOLDER = "folder"


@dataclasses.dataclass(frozen=True)
class Container:
    """A row.

    Args:
        data_dir: What `--data_dir` is, for messages.
        open: Lists what lies there, without decoding an image.
    """

    data_dir: str
    open: Callable[[Path], Listing]


# fmt: off
CONTAINERS = {
    FOLDER: Container("the folder with the images, CLASS/*.jpg or train/CLASS/*.jpg", list_folder),
    "csv": Container("the CSV or TSV file with a path and a label for each image, or the folder that it is in", list_csv),
    "parquet": Container("the parquet file with images and labels, or the folder with such files", list_parquet),
    "tar": Container("the tar archive of a folder with the images, not compressed", list_tar),
    "zip": Container("the zip archive of a folder with the images", list_zip),
    "webdataset": Container("the folder with the tar shards, or a pattern such as train-{0000..0146}.tar", list_webdataset),
    "tfrecord": Container("the folder with the TFRecord shards, such as ImageNet's train-00000-of-01024", list_tfrecord),
}
# fmt: on
