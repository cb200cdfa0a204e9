"""Checkpoints of a run: the newest ones to continue from, and the best one to keep."""

import contextlib
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import tensorflow as tf

from keras_resnet.errors import UserError, first_line
from keras_resnet.files import tf_errors_as_oserror


class TrainState(tf.train.experimental.PythonState):
    """How far a run has come: `epoch` whole epochs and `step` steps of the next, the sums over these, and the best so far.

    seconds: spent training. best: (accuracy, loss) on the validation part. data: what tells this data from other data.
    """

    def __init__(self, data=None):
        self.epoch, self.step, self.sums, self.seconds, self.best = 0, 0, [0.0, 0.0, 0.0], 0.0, [-1.0, 0.0]
        self.data = data

    def serialize(self):
        return json.dumps(vars_of(self))

    def deserialize(self, text):
        for name, value in json.loads(text).items():
            setattr(self, name, value)


def vars_of(position):
    return {name: getattr(position, name) for name in ("epoch", "step", "sums", "seconds", "best", "data")}


class CheckpointManager:
    """Everything that a run needs to go on as if nothing had happened, in the files `ckpt-STEP` of a folder."""

    def __init__(self, folder, weights, state, position, *, max_to_keep=3, chief=True):
        """weights: the network's variables. state: those of what trains it. chief: whether this worker's files are to stay."""
        self._folder, self._best_folder, self._max_to_keep, self._chief = (
            Path(folder),
            Path(folder) / "best",
            max_to_keep,
            chief,
        )
        values = [[variable.value for variable in variables] for variables in (weights, state)]
        self._whole = tf.train.Checkpoint(weights=values[0], state=values[1], position=position)
        self._weights = tf.train.Checkpoint(weights=values[0])

    def restore_latest(self):
        """Restores the newest checkpoint that is whole, if there is one; damaged ones are named on standard error."""
        damaged = []
        for path in found(self._folder):
            try:
                restore(self._whole, path)
                break
            except UserError as error:
                damaged.append(str(error))
        else:
            if damaged:
                raise UserError("; ".join(damaged))
        for message in damaged if self._chief else ():
            print(f"keras-resnet: {message}; going on from the one before", file=sys.stderr)

    def restore_best(self):
        """Restores the weights that did best on the validation part."""
        best = found(self._best_folder)
        if not best:
            raise UserError(f"{self._best_folder} holds no checkpoint: choose another --workdir")
        restore(self._weights, best[0])

    def save(self, number):
        """Saves everything as `ckpt-{number}`; of the earlier ones the newest stay."""
        self._write(self._whole, self._folder, number, self._max_to_keep)

    def save_best(self, number):
        """Saves the network's weights in place of the best so far."""
        self._write(self._weights, self._best_folder, number, 1)

    def _write(self, checkpoint, folder, number, max_to_keep):
        with self._destination(folder) as folder:
            for path in found(folder):
                if number_of(path) > number:  # damaged, for the run went on from an earlier one
                    remove(path)
            path = folder / f"ckpt-{number}"
            try:
                with tf_errors_as_oserror(folder):
                    checkpoint.write(str(path))
            except BaseException:
                remove(path)
                raise
            for old in found(folder)[max_to_keep:]:
                remove(old)

    @contextlib.contextmanager
    def _destination(self, folder):
        """Every worker takes part in saving, for some variables are read together; what the others write is thrown away."""
        if self._chief:
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        else:
            thrown_away = Path(tempfile.mkdtemp())
            try:
                yield thrown_away
            finally:
                shutil.rmtree(thrown_away, ignore_errors=True)

    def last_before(self, number):
        """The number of the newest checkpoint in the folder below that one, or None."""
        return next((number_of(path) for path in found(self._folder) if number_of(path) < number), None)


def found(folder):
    """The paths of the checkpoints in a folder, without their suffixes, the newest first."""
    paths = [path.with_suffix("") for path in folder.glob("ckpt-*.index") if re.fullmatch(r"ckpt-\d+\.index", path.name)]
    return sorted(paths, key=number_of, reverse=True)


def number_of(path):
    return int(path.name.removeprefix("ckpt-"))


def remove(path):
    """The index goes first: without it there is no checkpoint."""
    for file in sorted(path.parent.glob(f"{path.name}.*"), key=lambda file: file.suffix != ".index"):
        file.unlink(missing_ok=True)
    shutil.rmtree(path.with_name(f"{path.name}_temp"), ignore_errors=True)


def restore(checkpoint, path):
    try:
        checkpoint.read(str(path)).expect_partial().assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
        raise UserError(f"checkpoint {path} is damaged or of another network: {first_line(error)}") from error
