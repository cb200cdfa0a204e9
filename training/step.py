"""One step of training or evaluation, as each replica runs it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .network.trainable import TrainableNetwork
from .optim.loss_scale import LossScale
from .optim.update import WeightUpdate
from .recipes import Recipe


class MetricSums(NamedTuple):
    """Sums over examples: losses, correct predictions, number of examples. Scalar tensors in a step, floats on the host."""

    loss: Any = 0.0
    correct: Any = 0.0
    examples: Any = 0.0

    def plus(self, other: "MetricSums") -> "MetricSums":
        """These sums and those over further examples."""
        return MetricSums(*(one + more for one, more in zip(self, other, strict=True)))

    def means(self) -> dict[str, float]:
        return {"loss": self.loss / max(self.examples, 1), "accuracy": self.correct / max(self.examples, 1)}


class HostRequests(NamedTuple):
    """What the host of a worker says before it starts some steps; after them, the sums over all replicas.

    stop, save: 1 to stop the training or to save a checkpoint. seconds: that the steps before took.
    """

    stop: Any = 0.0
    save: Any = 0.0
    seconds: Any = 0.0


class StepOutput(NamedTuple):
    """What a step of training returns, the same on every replica: sums over all replicas, and the norm of the gradient."""

    sums: MetricSums
    gradient_norm: Any
    requests: HostRequests


class TrainStep:
    """A network, its loss and its `WeightUpdate`. The loss is the mean over the global batch, whatever the number of replicas.

    The metrics, the requests and the gradients of all replicas go through one reduction. The random numbers of a step (dropout,
    stochastic depth) are a function of seed, step and replica, so they need not be saved.

    Args:
        network: maps float32 images 0 to 255, (B, H, W, C), to logits (B, classes).
        update: changes its weights.
        recipe: gives batch size, gradient accumulation and label smoothing.
        seed: of the random numbers inside the network.
        class_weights: (classes,), a factor on the loss of each class's examples.
        jit_compile: whether XLA compiles the forward and backward pass.
        loss_scale: for float16.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        update: WeightUpdate,
        recipe: Recipe,
        *,
        seed: int = 0,
        class_weights: np.ndarray | None = None,
        jit_compile: bool = False,
        loss_scale: LossScale | None = None,
    ) -> None:
        self.network, self.update = network, update
        self.recipe, self._class_weights, self._loss_scale = recipe, class_weights, loss_scale
        self._forward_backward = (
            tf.function(self._gradients, autograph=False, jit_compile=True) if jit_compile else self._gradients
        )
        self._seed = seed

    @property
    def state_variables(self) -> list[keras.Variable]:
        """Every variable besides the network's own that a continued run needs."""
        return [*self.update.state_variables, *(self._loss_scale.variables if self._loss_scale else ())]

    def train(self, images: tf.Tensor, targets: tf.Tensor, requests: HostRequests) -> StepOutput:
        """Runs one step on this replica's uint8 images (B, H, W, C) and their targets (B, classes)."""
        self._set_seeds()
        gradients, sums = self._forward_backward(images, targets)
        packed = [*gradients, tf.stack(sums), tf.stack(requests)]
        *gradients, all_sums, all_requests = sum_over_replicas(packed)
        finite = None
        if self._loss_scale:
            gradients, finite = self._loss_scale.unscaled(gradients)
            self._loss_scale.update(finite)
        norm = self.update.apply(gradients, finite)
        return StepOutput(MetricSums(*tf.unstack(all_sums)), norm, HostRequests(*tf.unstack(all_requests)))

    def evaluate(self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> MetricSums:
        """Returns the sums over the examples of all replicas, each with its weight: (B, H, W, C), (B,), (B,)."""
        logits = self._logits(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        correct = tf.cast(tf.argmax(logits, axis=1) == tf.cast(labels, tf.int64), tf.float32)
        sums = [tf.reduce_sum(values * weights) for values in (losses, correct, tf.ones_like(losses))]
        return MetricSums(*tf.unstack(sum_over_replicas([tf.stack(sums)])[0]))

    def _gradients(self, images: tf.Tensor, targets: tf.Tensor) -> tuple[list[Any], MetricSums]:
        """Of the mean loss with respect to the trainable weights, and the sums, over this replica's share of the batch."""
        pieces = self.recipe.gradient_accumulation_steps
        if pieces == 1:
            return self._gradients_at_once(images, targets)
        images, targets = (tf.reshape(x, (pieces, -1, *x.shape[1:])) for x in (images, targets))

        def add_piece(piece: tf.Tensor, gradients: list[Any], sums: MetricSums) -> tuple:
            more_gradients, more_sums = self._gradients_at_once(images[piece], targets[piece])
            added = [one + more for one, more in zip(gradients, more_gradients, strict=True)]
            return piece + 1, added, sums.plus(more_sums)

        zeros = [tf.zeros(variable.shape) for variable in self.update.variables]
        start = (tf.constant(0), zeros, MetricSums(*tf.unstack(tf.zeros(3))))
        _, gradients, sums = tf.while_loop(lambda piece, *_: piece < pieces, add_piece, start)
        return gradients, sums

    def _gradients_at_once(self, images: tf.Tensor, targets: tf.Tensor) -> tuple[list[Any], MetricSums]:
        values = [variable.value for variable in self.update.variables]
        with tf.GradientTape() as tape:
            logits = self._logits(images, training=True)
            losses = self._losses(targets, logits)
            loss = tf.reduce_sum(losses) / self.recipe.batch_size
            if self._loss_scale:
                loss *= self._loss_scale.factor
        correct = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32))
        sums = MetricSums(tf.reduce_sum(losses), correct, tf.cast(tf.size(losses), tf.float32))
        return tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO), sums

    def _losses(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of each example: (B, classes), (B, classes) -> (B,)."""
        smoothing = self.recipe.label_smoothing
        classes: Any = targets.shape[1]
        smoothed = (1 - smoothing) * targets + smoothing / classes if smoothing else targets
        losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
        return losses if self._class_weights is None else losses * tf.linalg.matvec(targets, self._class_weights)

    def _logits(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.cast(self.network(tf.cast(images, tf.float32), training), tf.float32)

    def _set_seeds(self) -> None:
        """Sets Keras' random states for this step and replica."""
        context = tf.distribute.get_replica_context()
        step = tf.cast(self.update.iterations.value, tf.int64)
        count = step * context.num_replicas_in_sync + tf.cast(context.replica_id_in_sync_group, tf.int64)
        self.network.set_seeds(self._seed, count)


def sum_over_replicas(tensors: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
    """Each tensor summed over the replicas, on every one of them, in one reduction."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
