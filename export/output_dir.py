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
from keras_resnet.files import json_text, write_text
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.records import read_json
from keras_resnet.remote import AnyPath, RemotePath, check_reachable
from keras_resnet.remote_copies import local

from .formats.labels import LABELS_FILE
from .reporting import html_report, model_card, report
from .selftest import archive as selftest
from .targets import TARGETS
from .verification.result import VerificationResult

TEMPORARY = f".export-{platform.node()}-"  # and the process; of the host too, for others may write to the same disk
REPORT_FILES = (report.RECORD, html_report.PAGE, LABELS_FILE, model_card.FILE)  # what accompanies the artifacts


def check_output_dir(folder: AnyPath, metadata: ClassifierMetadata, targets: Collection[str]) -> None:
    """Refuses a folder that holds files of the same names which another program wrote, or an export that would stay in part.

    A folder holds one export, and its reports describe all that is in it: what is there must be among the `targets` to come.
    """
    check_reachable(folder)
    check_is_folder(folder)
    artifacts = dict.fromkeys(name for target in TARGETS.values() for name in (target.file, target.failed_file))
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()  # asking a server for each name takes longer
    names = [name for name in (*artifacts, *REPORT_FILES, *selftest.FILES) if name in there]
    taken = [name for name in names if (folder / name).exists()]
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


def check_is_folder(folder: AnyPath) -> None:
    """Refuses a file, which tells before anything is read."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: choose another --output_dir")


@contextlib.contextmanager
def temporary_folder(output_dir: AnyPath) -> Iterator[Path]:
    """Yields a folder for the files of an export that is not finished: inside `output_dir`, or a local one where that is a URL.

    `output_dir` is made where it does not exist; if something is raised, it goes again.
    """
    prefix = f"{TEMPORARY}{os.getpid()}-"
    with (
        files.attach_path(output_dir),
        files.created_directory(output_dir),
        tempfile.TemporaryDirectory(prefix=prefix, dir=None if isinstance(output_dir, RemotePath) else output_dir) as folder,
    ):
        if isinstance(output_dir, Path):
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


def download_export(url: RemotePath) -> Path:
    """Copies an export, or one of its artifacts with its self-test, to this machine.

    Raises:
        UserError: where there is nothing, or the upload of the export has not ended: its record is missing, or says so.
    """
    whole = url.is_dir() and not (url.parent / report.RECORD).exists()
    folder = url if whole else url.parent
    record = report.read(folder)
    if record is None or record.unfinished:
        why = f"has no {report.RECORD} of an export" if record is None else f"has a {report.RECORD} that says it is unfinished"
        raise UserError(f"{folder} {why}: its upload has not ended, or was cut off; export it again")
    return Path(local(url, () if whole else selftest.FILES))


def publish(results: Iterable[VerificationResult], folder: Path, output_dir: AnyPath) -> None:
    """Renames what was made in `folder` to its final names, the record first: it tells the next export whose they are.

    An upload takes its time: while it lasts, or where it was cut off, the record at the URL says that it is `unfinished`. The
    real one comes last, when all else is there.
    """
    if isinstance(output_dir, RemotePath):
        record = read_json(folder / report.RECORD)
        write_text(output_dir / report.RECORD, f"{json_text({**record, 'unfinished': True}, indent=2)}\n")
    for name in REPORT_FILES if isinstance(output_dir, Path) else REPORT_FILES[1:]:
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
    if isinstance(output_dir, RemotePath):
        files.replace(folder / report.RECORD, output_dir / report.RECORD)
