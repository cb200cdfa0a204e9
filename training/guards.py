"""What ends a run: a loss that is no number, data that is not what the run began with, a picture that is no longer there."""

import contextlib
import math
import re

import tensorflow as tf

from keras_resnet.errors import UserError


def check_loss_is_finite(name, loss, epoch, step, learning_rate, checkpoints, bad):
    """Raises a `UserError` if a loss is no number.

    epoch: from 0. step: in the whole run. bad: checkpoints of that step and later hold the weights that gave this loss.
    """
    if math.isfinite(loss):
        return
    last = checkpoints.last_before(bad)
    kept = "there is no checkpoint yet" if last is None else f"the last good checkpoint is that of step {last}"
    where = f"at step {step}, in epoch {epoch + 1}, at a learning rate of {learning_rate:.3g}"
    raise UserError(f"the {name} is {loss} {where}; {kept}")


def check_same_data(there, here, workdir):
    """Raises a `UserError` if the data of a run, as `TrainingContext.data` tells it, is not what there is now.

    A place in the data says nothing once pictures have come or gone. The folder itself may have moved.
    """
    if there != here:
        counts = f"{there[0]} and {there[1]} images to train on and to choose by, not {here[0]} and {here[1]}"
        raise UserError(f"{workdir} holds a run on other data, {counts}, or on other labels: choose another --workdir")


@contextlib.contextmanager
def missing_file_as_user_error():
    """Inside, a file that went while its pictures were read, for which TensorFlow has no error of its own, is a `UserError`."""
    try:
        yield
    except tf.errors.UnknownError as error:
        if lost := re.search(r"Error: (\[Errno \d+\] .*)", error.message):
            raise UserError(f"a picture is gone: {lost[1]}; once it is back, the same command continues") from error
        raise
