"""What a classifier's file knows besides its weights: labels and preprocessing, kept inside the file."""

import dataclasses
import json
import zipfile

from keras_resnet.errors import UserError, first_line
from keras_resnet.preprocessing import Preprocessing

MEMBER = "classifier.json"
SAVED_MODEL_MEMBER = f"assets.extra/{MEMBER}"  # in TensorFlow's folder for files that it keeps and does not read


@dataclasses.dataclass(frozen=True)
class ClassifierMetadata:
    """A network's name, the data set that it was trained on, its labels in the order of its outputs, its preprocessing."""

    model: str
    dataset: str
    labels: tuple
    preprocessing: Preprocessing

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text):
        """The record, or a `UserError` if it is none of ours."""
        try:
            record = json.loads(text)
            preprocessing = {key: tuple(v) if isinstance(v, list) else v for key, v in record.pop("preprocessing").items()}
            return cls(labels=tuple(record.pop("labels")), preprocessing=Preprocessing(**preprocessing), **record)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"the record of labels and preprocessing is damaged: {first_line(error)}") from error

    def write_into(self, path):
        """Adds the record to a zip archive (.keras), or appends an archive to a file that is none (.tflite).

        Readers of either format ignore it: plain Keras reads the members that it knows, a flatbuffer ends where it says.
        """
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(MEMBER, self.to_json())

    @classmethod
    def read_from(cls, path):
        """The record inside a .keras or .tflite file, or None."""
        if not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            return cls.from_json(archive.read(MEMBER)) if MEMBER in archive.namelist() else None
