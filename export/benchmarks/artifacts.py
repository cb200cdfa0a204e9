"""The artifacts that are measured: which there are in a folder, and what each of them is."""

import dataclasses
from pathlib import Path

from keras_resnet.errors import UserError

from ..formats import FORMATS
from ..reporting import report
from ..targets import TARGETS, ExportTarget
from ..verification.verify import size

OURS = "ours"


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One file, or a SavedModel's folder.

    exporter: `OURS`, a key of `exporters.EXPORTERS`, or the folder of another export. failure: why it could not be made.
    """

    exporter: str
    title: str
    path: Path
    failure: str = ""

    @property
    def format(self) -> str:
        """A key of `FORMATS`."""
        return next(name for name, format in FORMATS.items() if format.suffix == self.path.suffix)

    @property
    def bytes(self) -> int:
        return size(self.path)


def failed_artifacts(folder: Path) -> list[str]:
    """Returns the names of the artifacts that failed verification."""
    return [target.failed_file for target in measured_targets() if (folder / target.failed_file).exists()]


def measured_targets() -> list[ExportTarget]:
    """All but those that have the file of another one inside, which is measured by itself."""
    return [target for target in TARGETS.values() if not target.embeds]


def find_artifacts(folder: Path, exporter: str) -> list[Artifact]:
    """Returns the artifacts that `keras-resnet export` left in a folder and that passed verification.

    Raises:
        UserError: The folder has none, or another program wrote it.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    if report.read(folder) is None:
        raise UserError(f"{folder} has no {report.RECORD} of an export: `keras-resnet export` did not write it")
    paths = [folder / target.file for target in measured_targets() if (folder / target.file).exists()]
    if not paths:
        raise UserError(f"{folder} has no artifact that passed verification")
    where = "" if exporter == OURS else f"{folder}/"
    return [Artifact(exporter, f"{where}{path.name}", path) for path in paths]
