"""What a classifier's file stores besides its weights: labels and preprocessing, inside the file."""

import dataclasses
import json
import os
import zipfile
from typing import Self

from keras_resnet.archives import is_archive, open_archive, read_member
from keras_resnet.errors import UserError, cut_middle, printable
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.records import MAX_BYTES, parse_record

HUB = "hf://"
LONGEST_LICENSE = 100  # characters
MEMBER = "classifier.json"
SAVED_MODEL_MEMBER = f"assets.extra/{MEMBER}"  # in TensorFlow's folder for files that it keeps and does not read


def check_license(license: str) -> None:
    """Raises a `UserError` unless a license is "" or one short line: model cards and messages have it as it is."""
    if len(license) > LONGEST_LICENSE or printable(license) != license:
        shown = cut_middle(ascii(license), LONGEST_LICENSE)
        raise UserError(f"license is {shown}; it must be one line of at most {LONGEST_LICENSE} characters, like apache-2.0")


@dataclasses.dataclass(frozen=True)
class Origin:
    """Whose weights a classifier has, or began its training with.

    Attributes:
        weights: the repository, "hf://owner/name", or the folder that they were read from.
        commit: of the repository; "" for a folder.
        architecture: the network's name in the library that they are from, or "".
        license: of the weights, such as "apache-2.0"; "" if it is not stated.

    Raises:
        UserError: for a license that is not one short line.
    """

    weights: str
    commit: str = ""
    architecture: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        check_license(self.license)

    @property
    def repository(self) -> str:
        """ "owner/name" on the Hugging Face Hub; "" for a folder."""
        return self.weights.removeprefix(HUB) if self.weights.startswith(HUB) else ""

    def __str__(self) -> str:
        return f"{self.weights}{f'@{self.commit}' if self.commit else ''}"


@dataclasses.dataclass(frozen=True)
class ClassifierMetadata:
    """The metadata of a classifier.

    Attributes:
        model: the network's name.
        dataset: name of the data set that it was trained on, or "".
        labels: the classes' names, in the order of the outputs.
        preprocessing: how images are prepared for it.
        origin: whose weights it has or was trained from; None if that is not known.
    """

    model: str
    dataset: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    origin: Origin | None = None

    @property
    def license(self) -> str:
        """Of the weights that it has or was trained from; "" if it is not known."""
        return self.origin.license if self.origin else ""

    def to_json(self) -> str:
        """The metadata as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parses the metadata.

        Raises:
            UserError: if they are damaged, or something else.
        """
        try:
            return parse_record(text, cls)
        except UserError as error:
            raise UserError(f"the record of labels and preprocessing is damaged: {error}") from error

    def write_into(self, path: str | os.PathLike[str]) -> None:
        """Adds the metadata to a zip archive (.keras), or appends an archive to a file of another kind (.tflite).

        Readers of either format ignore it: plain Keras reads the members that it knows, a flatbuffer ends where it says.
        """
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(MEMBER, self.to_json())

    @classmethod
    def read_from(cls, path: str | os.PathLike[str]) -> Self | None:
        """Reads the metadata inside a .keras or .tflite file; None if there are none.

        Raises:
            UserError: if they are damaged.
        """
        if not is_archive(path):
            return None
        with open_archive(path) as archive:
            content = read_member(path, archive, MEMBER, MAX_BYTES) if MEMBER in archive.namelist() else None
        return None if content is None else cls.from_file(path, content)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], content: str | bytes) -> Self:
        """Parses the metadata that were found in the file or folder `path`, which errors name."""
        try:
            return cls.from_json(content)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
