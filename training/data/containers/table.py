"""The table of containers: one row for each value of `--dataset` that is not a data set of tensorflow-datasets.

To import it takes no TensorFlow: a row names the function that lists what lies there.
"""

import dataclasses
import importlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from keras_resnet.errors import UserError
from keras_resnet.remote import is_remote

if TYPE_CHECKING:
    from .listing import Listing

FOLDER = "folder"
SUFFIXES = {".tar": "tar", ".zip": "zip", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".tfrecord": "tfrecord"}
SHARD_PATTERN = re.compile(r"[*?{\[]")  # in the names of several shards


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
        module, _, function = self.lister.rpartition(".")
        return getattr(importlib.import_module(f"{__package__}.{module}"), function)(path)


CONTAINERS = {
    FOLDER: Container("the folder with the images, CLASS/*.jpg or train/CLASS/*.jpg", "remote_folder.list_folder_or_url"),
    "csv": Container("the CSV or TSV file with a path and a label for each image", "tables.csv_manifest.list_csv"),
    "parquet": Container(
        "the parquet file with images and labels, or the folder with such files", "tables.parquet.list_parquet"
    ),
    "tar": Container("the tar archive of a folder with the images, not compressed", "archive.list_tar"),
    "zip": Container("the zip archive of a folder with the images", "archive.list_zip"),
    "webdataset": Container("the folder with the tar shards, or train-{0000..0146}.tar", "webdataset.list_webdataset"),
    "tfrecord": Container("the folder with the TFRecord shards, train-00000-of-01024", "tfrecord.list_tfrecord"),
}


def check_data_dir(name: str, data_dir: str | Path | None) -> None:
    """Raises a `UserError` if a container, a key of `CONTAINERS`, is not said to be anywhere, or is not there."""
    wanted = CONTAINERS[name].data_dir
    if data_dir is None or not os.fspath(data_dir):
        raise UserError(f"dataset {name!r} needs --data_dir, {wanted}")
    if is_remote(data_dir) or SHARD_PATTERN.search(os.fspath(data_dir)):
        return  # which takes a look at it
    if not os.path.exists(data_dir):
        raise UserError(f"data_dir is {data_dir}, which does not exist; it must be {wanted}")
    if name == FOLDER and not os.path.isdir(data_dir):
        raise UserError(f"data_dir is {data_dir}, which is a file; it must be {wanted}{hint(data_dir)}")


def hint(data_dir: str | Path) -> str:
    """What a file may be, by its name, to end a message with; "" if that says nothing."""
    suffix = os.path.splitext(data_dir)[1].lower()
    return f"; is --dataset={SUFFIXES[suffix]} meant?" if suffix in SUFFIXES else ""
