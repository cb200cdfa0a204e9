"""The table of containers: one row for each value of `--dataset` that is not a data set of tensorflow-datasets.

To import it takes no TensorFlow: a row names the function that lists what lies there.
"""

import dataclasses
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from keras_resnet.errors import UserError

if TYPE_CHECKING:
    from .listing import Listing

FOLDER = "folder"


@dataclasses.dataclass(frozen=True)
class Container:
    """A row.

    Args:
        data_dir: What `--data_dir` is, for messages.
        lister: MODULE.FUNCTION in this room: `(path: str) -> Listing`, which decodes no image.
    """

    data_dir: str
    lister: str

    def open(self, path: str) -> "Listing":
        """Lists what lies in a container."""
        module, _, function = self.lister.partition(".")
        return getattr(importlib.import_module(f"{__package__}.{module}"), function)(path)


CONTAINERS = {
    FOLDER: Container("the folder with the images, CLASS/*.jpg or train/CLASS/*.jpg", "remote_folder.list_folder_or_url"),
    "csv": Container("the CSV or TSV file with a path and a label for each image", "csv_manifest.list_csv"),
    "parquet": Container("the parquet file with images and labels, or the folder with such files", "parquet.list_parquet"),
    "tar": Container("the tar archive of a folder with the images, not compressed", "archive.list_tar"),
    "zip": Container("the zip archive of a folder with the images", "archive.list_zip"),
    "webdataset": Container("the folder with the tar shards, or train-{0000..0146}.tar", "webdataset.list_webdataset"),
    "tfrecord": Container("the folder with the TFRecord shards, train-00000-of-01024", "tfrecord.list_tfrecord"),
}


def check_data_dir(name: str, data_dir: str | Path | None) -> None:
    """Raises a `UserError` if a container, a key of `CONTAINERS`, is not said to be anywhere."""
    if data_dir is None:
        raise UserError(f"dataset {name!r} needs --data_dir, {CONTAINERS[name].data_dir}")
