"""Examples on disk, one by one: in TFRecord files, as tensorflow-datasets writes them."""

from typing import Any, NamedTuple

import tensorflow as tf

LENGTH, CHECKSUM = 8, 4  # bytes: a length and its checksum, then the example and its checksum


class TFRecordExample(NamedTuple):
    """Where an example lies, and which of its features is the picture."""

    path: Any  # of the file
    offset: int
    length: int
    feature: str

    def read(self):
        """The bytes of the picture's file."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            example = tf.train.Example.FromString(file.read(self.length))
        return example.features.feature[self.feature].bytes_list.value[0]


def records(paths, feature):
    """Yields a `TFRecordExample` for each example, in the order of the files."""
    for path in paths:
        with path.open("rb") as file:
            while header := file.read(LENGTH + CHECKSUM):
                length = int.from_bytes(header[:LENGTH], "little")
                yield TFRecordExample(path, file.tell(), length, feature)
                file.seek(length + CHECKSUM, 1)
