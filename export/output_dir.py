"""The folder of an export: who may write to it, and how files get their final names."""

import contextlib
import os
import platform
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import psutil

from keras_resnet import files
from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata

from .formats.labels import LABELS_FILE
from .reporting import html_report, model_card, report
from .selftest import archive as selftest
from .targets import TARGETS
from .verification.result import VerificationResult

TEMPORARY = f".export-{platform.node()}-"  # and the process; of the host too, for others may write to the same disk
REPORT_FILES = (report.RECORD, html_report.PAGE, LABELS_FILE, model_card.FILE)  # what accompanies the artifacts


def check_output_dir(folder: Path, metadata: ClassifierMetadata, targets: Collection[str]) -> None:
    """Refuses a folder that holds files of the same names which another program wrote, or an export that would stay in part.

    A folder holds one export, and its reports describe all that is in it: what is there must be among the `targets` to come.
    """
    check_is_folder(folder)
    artifacts = dict.fromkeys(name for target in TARGETS.values() for name in (target.file, target.failed_file))
    taken = [name for name in (*artifacts, *REPORT_FILES, *selftest.FILES) if (folder / name).exists()]
    if not taken:
        return
    record = report.read(folder)
    earlier = [artifact.name for artifact in record.artifacts if artifact.name in TARGETS] if record else []
    known = {name for target in map(TARGETS.__getitem__, earlier) for name in (target.file, target.failed_file)}
    known |= set(REPORT_FILES) if record else set()
    known |= set(selftest.FILES) if record and record.selftest_images else set()  # `verify.py` is a name of others, too
    odd = [name for name in taken if name not in known or (folder / name).is_dir() == bool(Path(name).suffix)]
    if odd or record is None:
        raise UserError(f"{folder} holds {comma_join(odd)} of another origin: choose another --output_dir")
    if (record.model, record.dataset) != (metadata.model, metadata.dataset):
        raise UserError(f"{folder} holds the export of {record.model} on {record.dataset}: choose another --output_dir")
    if record.labels not in (None, metadata.labels):
        raise UserError(f"{folder} holds the export of a network with other classes: choose another --output_dir")
    replaced = {TARGETS[name].file for name in targets}
    if left := [name for name in earlier if TARGETS[name].file not in replaced]:
        raise UserError(
            f"{folder} holds an export with {comma_join(left)}, which this one does not have: choose another --output_dir"
        )


def check_is_folder(folder: Path) -> None:
    """Refuses a file, which tells before anything is read."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: choose another --output_dir")


@contextlib.contextmanager
def temporary_folder(output_dir: Path) -> Iterator[Path]:
    """Yields a folder inside `output_dir` for the files of an export that is not finished.

    `output_dir` is made where it does not exist; if something is raised, it goes again.
    """
    prefix = f"{TEMPORARY}{os.getpid()}-"
    with (
        files.attach_path(output_dir),
        files.created_directory(output_dir),
        tempfile.TemporaryDirectory(prefix=prefix, dir=output_dir) as folder,
    ):
        remove_stale_temp_dirs(output_dir)
        yield Path(folder)


def remove_stale_temp_dirs(folder: Path) -> None:
    """Removes temporary folders of processes on this host that have ended, and finishes what they were replacing."""
    for target in TARGETS.values():
        files.recover(folder / target.file)
    for path in folder.glob(f"{TEMPORARY}*-*"):
        process = path.name.removeprefix(TEMPORARY).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            files.remove(path)


def publish(results: Iterable[VerificationResult], folder: Path, output_dir: Path) -> None:
    """Renames what was made in `folder` to its final names, the record first: it tells the next export whose they are."""
    for name in REPORT_FILES:
        files.replace(folder / name, output_dir / name)
    for name in selftest.FILES:
        if (folder / name).exists():
            files.replace(folder / name, output_dir / name)
        else:  # an earlier export's would test its artifacts
            files.remove(output_dir / name)
    for result in results:
        target = TARGETS[result.name]
        passed, failed = output_dir / target.file, output_dir / target.failed_file
        stale, final = (failed, passed) if result.passed else (passed, failed)
        if (folder / target.file).exists():
            files.replace(folder / target.file, final)
        else:  # it could not be made
            files.remove(final)
        files.remove(stale)  # of an earlier export: what has the final name has passed the newest verification
