"""The work directory of a run: made once, then only continued by the same run, by one process at a time."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from keras_resnet.errors import UserError
from keras_resnet.files import write_text

from .config import CONFIG_FILE, TrainConfig, flatten, read_record

if sys.platform != "win32":
    import fcntl


def open_workdir(workdir: Path, config: TrainConfig) -> TextIO:
    """Makes the work directory, or opens the one of a run with the same configuration.

    Returns:
        A file to be closed at the end: while it is open, no other process can train here.

    Raises:
        UserError: if the folder holds something else, or another process trains in it.
    """
    path = workdir / CONFIG_FILE
    if path.is_file():
        check_same_run(path, config)
    elif workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
        raise UserError(f"{workdir} is not empty and holds no run of this package (no {CONFIG_FILE}): choose another --workdir")
    else:
        workdir.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(config.to_dict(), indent=2) + "\n")
    return lock(path)


def check_same_run(path: Path, config: TrainConfig) -> None:
    """Raises a `UserError` if the configuration in the file is not this one, `RUNTIME_FIELDS` aside."""
    try:
        existing = read_record(path)
    except UserError as error:
        raise UserError(f"{error}; choose another --workdir") from error
    ours = flatten({key: value for key, value in config.to_dict().items() if key not in config.RUNTIME_FIELDS})
    theirs = flatten(existing)
    different = [f"{key} {theirs.get(key)!r}, not {ours[key]!r}" for key in ours if theirs.get(key) != ours[key]]
    if different:
        raise UserError(f"{path.parent} holds another run, with {'; '.join(different)}: choose another --workdir")


def check_same_data(existing: Sequence[int | str], current: Sequence[int | str], workdir: Path) -> None:
    """Raises a `UserError` if two `TrainingContext.data_fingerprint` differ: of the run in the work directory, and of now.

    A position in the data says nothing once images have come or gone. The data's own folder may have moved.
    """
    if [*existing] != [*current]:
        counts = f"{existing[0]} images for training and {existing[1]} for validation, not {current[0]} and {current[1]}"
        raise UserError(f"{workdir} holds a run on other data ({counts}, or other labels): choose another --workdir")


def lock(path: Path) -> TextIO:
    """Opens the file and locks it until it is closed, where the system has such locks."""
    file = path.open(encoding="utf-8")
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise UserError(f"another process is training in {path.parent}: choose another --workdir") from error
    return file
