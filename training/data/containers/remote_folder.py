"""A folder of images at a URL, which is laid out as one of this machine."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_resnet.errors import UserError
from keras_resnet.remote import is_remote
from keras_resnet.remote_path import remote_errors

from .archive import begins_like_an_image, listing_of
from .archive_layout import lay_out
from .binary_files import is_folder
from .folder import list_folder
from .folder_listing import Unused
from .listing import Listing
from .packed_strings import PackedStrings
from .records import FileRecords


def list_folder_or_url(path: str) -> Listing:
    """Lists a folder of images, see `list_folder`, or one at a URL."""
    return list_remote_folder(path) if is_remote(path) else list_folder(path)


def list_remote_folder(url: str) -> Listing:
    """Lists the images below a URL. An object store has no folders: they are what the names of its objects say."""
    url = url.rstrip("/")
    if not is_folder(url):
        raise UserError(f"data_dir is {url}, which does not exist or is a file; it must be a folder")
    where = Path(url.rpartition("/")[2])
    unused, names = Unused(where), PackedStrings.of(map(os.fsencode, names_below(url)))
    everything = np.ones(len(names), bool)

    def is_image(row: int) -> bool:
        return begins_like_an_image(functools.partial(FileRecords.of(url, names).read, row))

    layout = lay_out(where, names, ~everything, everything, is_image, unused)
    return listing_of(layout, names, lambda keys, rows: FileRecords.of(f"{url}/{layout.top}", keys), where, unused)


def names_below(url: str) -> Iterator[str]:
    """Yields the names of all files below a URL, relative to it."""
    with remote_errors(url):
        for folder, _, files in tf.io.gfile.walk(url):
            below = folder[len(url) :].strip("/")
            yield from (f"{below}/{name}".lstrip("/") for name in files)
