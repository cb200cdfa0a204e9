"""Checkpoints of a run: the newest ones to continue from, and the best one to keep."""

import tensorflow as tf

from keras_resnet.errors import UserError, one_line
from keras_resnet.files import os_errors

KEPT = 3


class Checkpoints:
    """Everything that a run needs to go on after epoch `epoch` as if nothing had happened."""

    def __init__(self, folder, model, optimizer):
        optimizer.build(model.trainable_variables)  # before restoring, or the momenta are lost (keras issue 19389)
        self._folder, self._epoch = folder, tf.Variable(0)
        # In float64, as they are compared: rounded, a best accuracy would lose against its own equal.
        self._accuracy, self._loss = tf.Variable(-1.0, dtype=tf.float64), tf.Variable(0.0, dtype=tf.float64)
        state = {"epoch": self._epoch, "best_accuracy": self._accuracy, "best_loss": self._loss}
        self._newest = tf.train.CheckpointManager(
            tf.train.Checkpoint(model=model, optimizer=optimizer, **state), folder, max_to_keep=KEPT
        )
        self._best = tf.train.CheckpointManager(tf.train.Checkpoint(model=model), folder / "best", max_to_keep=1)

    def restore_newest(self):
        """Restores the newest checkpoint, if there is one; returns the number of epochs done."""
        if self._newest.latest_checkpoint:
            self._restore(self._newest)
        elif any(self._folder.glob("ckpt-*.index")):
            raise UserError(f"{self._folder} has checkpoints, but the file `checkpoint` that names the newest is damaged")
        return int(self._epoch)

    def restore_best(self):
        """Restores the weights that did best on the validation part."""
        self._restore(self._best)

    def _restore(self, manager):
        path = manager.latest_checkpoint
        try:
            manager.checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
            where = path or manager.directory
            raise UserError(f"checkpoint {where} is damaged or of another network: {one_line(error)}") from error

    def save(self, epoch, accuracy, loss):
        """After an epoch, with the accuracy and loss on the validation part. The best so far is kept; loss breaks ties."""
        with os_errors(self._folder):
            if (accuracy, -loss) > (float(self._accuracy), -float(self._loss)):
                self._accuracy.assign(accuracy)
                self._loss.assign(loss)
                self._best.save(checkpoint_number=epoch)
            self._epoch.assign(epoch)
            self._newest.save(checkpoint_number=epoch)
