"""Checkpoints of a run: the newest to continue from, and the best to keep."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from keras_resnet import files
from keras_resnet.errors import UserError, first_line, print_message
from keras_resnet.files import tf_errors_as_oserror, without_pattern
from keras_resnet.remote import AnyPath


class TrainState(tf.train.experimental.PythonState):
    """How far a run has come; saved with every checkpoint.

    Attributes:
        epoch: whole epochs that are done.
        step: steps of the next epoch that are done.
        sums: the `MetricSums` over these steps.
        seconds: spent training.
        best: (accuracy, loss) on the validation split, the best so far.
        data_fingerprint: tells the data of the run from other data.
        stopped: whether a callback has ended the run.
        bad_images: {where an unreadable image is: its name}, of those found so far.
    """

    FIELDS = ("epoch", "step", "sums", "seconds", "best", "data_fingerprint", "stopped", "bad_images")

    def __init__(self, data_fingerprint: Sequence[int | str] = ()) -> None:
        self.epoch, self.step, self.sums, self.seconds = 0, 0, [0.0, 0.0, 0.0], 0.0
        self.best, self.data_fingerprint, self.stopped = [-1.0, 0.0], [*data_fingerprint], False
        self.bad_images: dict[str, str] = {}

    def serialize(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.FIELDS})

    def deserialize(self, string_value: str | bytes) -> None:
        for name, value in json.loads(string_value).items():
            setattr(self, name, value)


class CheckpointManager:
    """Saves and restores everything that a run needs to continue as if nothing had happened: the files `ckpt-STEP` of a folder.

    Args:
        folder: of the checkpoints; the best weights are in `best` inside of it.
        weights: the network's variables.
        state_variables: those of what trains it.
        state: how far the run has come.
        max_to_keep: how many of the newest checkpoints to keep.
        chief: whether to keep the files that this worker writes.
    """

    def __init__(
        self,
        folder: AnyPath,
        weights: Sequence[keras.Variable],
        state_variables: Sequence[keras.Variable],
        state: TrainState,
        *,
        max_to_keep: int = 3,
        chief: bool = True,
    ) -> None:
        self._folder, self._best_folder = folder, folder / "best"
        self._max_to_keep, self._chief = max_to_keep, chief
        values = [variable.value for variable in weights]
        optimizer = [variable.value for variable in state_variables]
        self._everything = tf.train.Checkpoint(weights=values, optimizer=optimizer, state=state)
        self._weights = tf.train.Checkpoint(weights=values)
        self._restored: AnyPath | None = None

    def restore_latest(self) -> bool:
        """Restores the newest intact checkpoint, if there is one; names damaged ones on standard error.

        Returns:
            Whether there is one.

        Raises:
            UserError: if all are damaged.
        """
        damaged = []
        for path in checkpoints_in(self._folder):
            try:
                restore(self._everything, path)
                self._restored = path
                break
            except UserError as error:
                damaged.append(str(error))
        else:
            if damaged:
                raise UserError("; ".join(damaged))
        newest = number_of(self._restored) if self._restored else -1
        lost = [path for path in unreadable_in(self._folder) if number_of(path) > newest]
        damaged = [*(f"checkpoint {path} has no index file" for path in lost), *damaged]
        goes_on = "continuing from the one before it" if self._restored else "starting from the beginning"
        for message in damaged if self._chief else ():
            print_message(f"{message}; {goes_on}")
        return self._restored is not None

    def restore_again(self) -> None:
        """Restores what `restore_latest` has restored, if anything."""
        if self._restored:
            restore(self._everything, self._restored)

    def has_best(self) -> bool:
        """Whether the weights with the best validation accuracy are there, damaged or not."""
        return bool(checkpoints_in(self._best_folder))

    def restore_best(self) -> None:
        """Restores the weights with the best validation accuracy.

        Raises:
            UserError: if they are damaged.
        """
        try:
            restore(self._weights, checkpoints_in(self._best_folder)[0])
        except UserError as error:
            raise UserError(f"{error}; remove {self._best_folder}, and the newest weights take its place") from error

    def save(self, number: int) -> None:
        """Saves everything as `ckpt-{number}`, and removes all but the newest checkpoints."""
        self._write(self._everything, self._folder, number, self._max_to_keep)

    def save_best(self, number: int) -> None:
        """Saves the network's weights in place of the best so far."""
        self._write(self._weights, self._best_folder, number, 1)

    def _write(self, checkpoint: tf.train.Checkpoint, folder: AnyPath, number: int, max_to_keep: int) -> None:
        with self._destination(folder) as folder:
            for path in checkpoints_in(folder):
                if number_of(path) > number:  # damaged, as the run continued from an earlier one
                    remove(path)
            path = folder / f"ckpt-{number}"
            try:
                with tf_errors_as_oserror(folder):
                    checkpoint.write(str(path))
            except BaseException:
                remove(path)
                raise
            for old in [*checkpoints_in(folder)[max_to_keep:], *unreadable_in(folder)]:
                remove(old)

    @contextlib.contextmanager
    def _destination(self, folder: AnyPath) -> Iterator[AnyPath]:
        """Yields the folder to write into: `folder` on the chief, a temporary one on the other workers.

        Every worker takes part in saving, because some variables are read collectively.
        """
        if self._chief:
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        else:
            temporary = Path(tempfile.mkdtemp())
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def last_before(self, number: int) -> int | None:
        """The number of the newest checkpoint below `number`, or None."""
        return next((number_of(path) for path in checkpoints_in(self._folder) if number_of(path) < number), None)


def checkpoints_in(folder: AnyPath) -> list[AnyPath]:
    """The paths of the checkpoints in a folder, without their suffixes, newest first."""
    paths = [path.with_suffix("") for path in folder.glob("ckpt-*.index") if re.fullmatch(r"ckpt-\d+\.index", path.name)]
    return sorted(paths, key=number_of, reverse=True)


def unreadable_in(folder: AnyPath) -> list[AnyPath]:
    """The same for checkpoints that have no index: it was lost, or the process was killed as it wrote or removed them."""
    found = (re.match(r"ckpt-\d+(?=\.data-|_temp$)", path.name) for path in folder.glob("ckpt-*"))
    paths = {folder / match[0] for match in found if match} - {*checkpoints_in(folder)}
    return sorted(paths, key=number_of, reverse=True)


def number_of(path: AnyPath) -> int:
    return int(path.name.removeprefix("ckpt-"))


def remove(path: AnyPath) -> None:
    """Removes a checkpoint, its index first: without that it does not count as one."""
    own = re.compile(re.escape(path.name) + r"\.(index|data-)")  # and not what a user may have put beside them
    for file in sorted(
        filter(lambda file: own.match(file.name), path.parent.iterdir()), key=lambda file: file.suffix != ".index"
    ):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        files.remove(path.with_name(f"{path.name}_temp"))


def restore(checkpoint: tf.train.Checkpoint, path: AnyPath) -> None:
    """Restores the checkpoint at a path without its suffixes.

    Raises:
        UserError: if anything in it cannot be read, or does not fit.
    """
    try:
        with without_pattern(path.parent) as folder:
            checkpoint.read(str(folder / path.name)).expect_partial().assert_existing_objects_matched()
    except Exception as error:  # TensorFlow's parsers raise what they come to
        raise UserError(f"checkpoint {path} is damaged or belongs to another network: {first_line(error)}") from error
