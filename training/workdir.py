"""The work directory of a run: made once, then only continued by the same run, by one process at a time."""

import dataclasses
import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from keras_resnet.errors import UserError, print_message
from keras_resnet.files import write_text
from keras_resnet.models.options import ModelOptions
from keras_resnet.remote import AnyPath, RemotePath, check_reachable

from .config import CONFIG_FILE, TrainConfig, flatten, read_record
from .recipes import Recipe

if sys.platform != "win32":
    import fcntl

EPOCHS = "another number of epochs is another schedule: a new run can start from this one's model.keras as its --weights"
MOST_NAMED = 3  # differences


def open_workdir(workdir: AnyPath, config: TrainConfig) -> TextIO:
    """Makes the work directory, or opens the one of a run with the same configuration.

    Returns:
        A file to be closed at the end: while it is open, no other process can train here.

    Raises:
        UserError: if the folder holds something else, or another process trains in it.
    """
    if existing := open_existing(workdir, config):
        return existing
    path = workdir / CONFIG_FILE
    workdir.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(config.to_dict(), indent=2) + "\n")
    return lock(path)


def open_existing(workdir: AnyPath, config: TrainConfig) -> TextIO | None:
    """What `open_workdir` does where there is a run already. Writes nothing.

    Returns:
        The file that `open_workdir` returns; None where there is no run, but could be one.

    Raises:
        UserError: also where the work directory cannot be made.
    """
    check_reachable(workdir)
    path = workdir / CONFIG_FILE
    if path.is_file():
        check_same_run(path, config)
        return lock(path)
    if workdir.is_dir() and any(workdir.iterdir()):
        raise UserError(f"{workdir} is not empty and holds no run of this package (no {CONFIG_FILE}): choose another --workdir")
    if not isinstance(workdir, RemotePath):
        check_can_be_made(workdir)
    return None


def check_can_be_made(workdir: Path) -> None:
    """Raises a `UserError` where a folder, or files in it, cannot be made, as far as that shows without trying."""
    there = next(folder for folder in (workdir.absolute(), *workdir.absolute().parents) if os.path.lexists(folder))
    below = "" if there == workdir.absolute() else f", below {there}"
    if not there.is_dir():
        what = "is a file" if there.exists() else "is a link to nothing"
        raise UserError(f"--workdir is {workdir}{below}, which {what}: choose another --workdir")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--workdir is {workdir}{below}, which cannot be written to: choose another --workdir")


def check_same_run(path: AnyPath, config: TrainConfig) -> None:
    """Raises a `UserError` if the configuration in the file is not this one, `RUNTIME_FIELDS` aside."""
    try:
        existing = read_record(path)
    except UserError as error:
        raise UserError(f"{error}; choose another --workdir") from error
    known, theirs = flatten(config.to_dict()), {**defaults(), **flatten(existing)}
    ours = {key: value for key, value in known.items() if key.split(".")[0] not in config.RUNTIME_FIELDS}
    different = {key: f"{key} {theirs.get(key)!r}, not {ours[key]!r}" for key in ours if theirs.get(key) != ours[key]}
    different |= {key: f"{key}, which this version does not know" for key in theirs if key not in known}
    if different:
        advice = "choose another --workdir" + (f"; {EPOCHS}" if "recipe.epochs" in different else "")
        raise UserError(f"{path.parent} holds another run, with {several(different.values())}: {advice}")


def check_nothing_lost(workdir: AnyPath, records: Sequence[Mapping[str, Any]], has_best: bool, has_model: bool) -> None:
    """Raises a `UserError` where the checkpoints of a run that had come further have been lost.

    The first epoch is logged, and its weights are the best, before the first checkpoint needs to have been written.

    Args:
        workdir: without a checkpoint to continue from.
        records: of its `metrics.jsonl`.
        has_best: whether the best weights are there.
        has_model: whether the run has come to its end.
    """
    epochs = sum("epoch" in record for record in records)
    if has_model or epochs > has_best:
        raise UserError(
            f"{workdir} has lost its checkpoints, though its run has come to epoch {epochs}: put them back into "
            f"{workdir / 'checkpoints'}, or choose another --workdir"
        )


def check_same_data(existing: Sequence[int | str], current: Sequence[int | str], workdir: AnyPath) -> None:
    """Raises a `UserError` if two `TrainingContext.data_fingerprint` differ: of the run in the work directory, and of now.

    A position in the data says nothing once images have come or gone. The data's own folder may have moved.
    """
    if any(one != other for one, other in zip(existing, current, strict=False)):  # runs of earlier versions know less
        counts = f"{existing[0]} images for training and {existing[1]} for validation, not {current[0]} and {current[1]}"
        same = [*existing[:2]] == [*current[:2]]
        reason = "as many images, with other labels or classes of other names" if same else f"{counts}"
        raise UserError(f"{workdir} holds a run on other data ({reason}): choose another --workdir")


def lock(path: AnyPath, busy: str = "training in {}: choose another --workdir") -> TextIO:
    """Opens the file and locks it until it is closed, where the system and the disk have such locks.

    For writing, without which NFS gives no lock. At a URL there are none. busy: what another process is doing that has locked
    it, and what to do then.
    """
    if isinstance(path, RemotePath):
        print_message(f"{path.parent} is in a file system without locks: make sure that no other process trains there")
        return io.StringIO()
    file = path.open("r+", encoding="utf-8")
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise UserError(f"another process is {busy.format(path.parent)}") from error
        except OSError as error:
            reason = f"{path.parent} is on a disk without locks ({error.strerror})"
            print_message(f"{reason}: make sure that no other process trains there")
    return file


def defaults() -> dict[str, Any]:
    """What a configuration leaves open that an earlier version wrote, flattened as JSON holds it."""
    parts = {"": TrainConfig, "recipe.": Recipe, "options.": ModelOptions}
    fields = {f"{prefix}{field.name}": field for prefix, kind in parts.items() for field in dataclasses.fields(kind)}
    values = {key: field.default for key, field in fields.items() if field.default is not dataclasses.MISSING}
    return json.loads(json.dumps(values))


def several(differences: Iterable[str]) -> str:
    """The first of them, and how many others there are."""
    first, others = [*differences][:MOST_NAMED], len([*differences]) - MOST_NAMED
    return "; ".join([*first, f"and {others} more"] if others > 0 else first)


def check_path(workdir: AnyPath) -> None:
    """Raises a `UserError` for a name that TensorFlow cannot write to."""
    try:
        name = str(workdir).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"--workdir is {str(workdir)!r}, which is not UTF-8: choose another --workdir") from error
    if b"\0" in name:
        raise UserError(f"--workdir is {str(workdir)!r}, which has a null byte: choose another --workdir")
