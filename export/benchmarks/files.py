"""The artifacts that are measured: which there are in a folder, and what each is."""

import dataclasses
from pathlib import Path

from keras_resnet.errors import UserError

from ..reporting import report
from ..targets import TARGETS
from ..verification.verify import size

FORMATS = {"saved_model": "SavedModel", "tflite": "TFLite", "onnx": "ONNX"}
OURS = "ours"


@dataclasses.dataclass(frozen=True)
class File:
    """route: `OURS`, a key of `routes.ROUTES`, or another export's folder. failure: why it could not be made."""

    route: str
    title: str
    path: Path
    failure: str = ""

    @property
    def format(self):
        """A key of `FORMATS`."""
        return self.path.suffix.removeprefix(".") or "saved_model"

    @property
    def bytes(self):
        return size(self.path)


def failed(folder):
    """The names of those that failed it."""
    return [kind.failed_file for kind in TARGETS.values() if (folder / kind.failed_file).exists()]


def exported(folder, route):
    """The artifacts in a folder that `keras-resnet export` left, or a `UserError`. Those that failed verification are none."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    if report.read(folder) is None:
        raise UserError(f"{folder} holds no {report.RECORD} of ours: it is not a folder that `keras-resnet export` left")
    paths = [folder / kind.file for kind in TARGETS.values() if (folder / kind.file).exists()]
    if not paths:
        raise UserError(f"{folder} holds no artifact that passed its verification")
    where = "" if route == OURS else f"{folder}/"
    return [File(route, f"{where}{path.name}", path) for path in paths]
