"""One step of training or evaluation, as each replica takes it."""

import keras
import tensorflow as tf


class TrainStep:
    """A network, its loss and its `WeightUpdate`. The loss is the mean over the global batch, whatever the number of replicas.

    The sums over the examples, the flags and the gradients of all replicas go through one reduction. The random numbers of a
    step (dropout, stochastic depth) are a function of seed, step and replica, so they need not be saved.
    """

    def __init__(self, model, update, recipe, *, seed=0, class_weights=None, jit_compile=False, loss_scale=None):
        """model: gives logits. update: an `WeightUpdate`. class_weights: (classes,). loss_scale: a `LossScale`."""
        self.model, self.update = model, update
        self.recipe, self._class_weights, self._loss_scale = recipe, class_weights, loss_scale
        self._forward_backward = (
            tf.function(self._gradients, autograph=False, jit_compile=True) if jit_compile else self._gradients
        )
        generators = {id(g): g for layer in model._flatten_layers() for g in getattr(layer, "_seed_generators", ())}
        self._seeds = [(seed * 1_000_003 + number) % 2**32 for number in range(len(generators))]
        self._generators = list(generators.values())

    @property
    def state(self):
        """Every variable besides the network's own that a continued run needs."""
        return [*self.update.state, *(self._loss_scale.variables if self._loss_scale else ())]

    def train(self, images, targets, flags):
        """Of uint8 images (B, H, W, C) and targets (B, classes); returns, over all replicas, (3,) the sums of losses, of right
        answers and of examples; the gradient's norm; and the sums of `flags`.
        """
        self._seed()
        gradients, sums = self._forward_backward(images, targets)
        *gradients, sums, flags = summed([*gradients, sums, tf.identity(flags)])
        finite = None
        if self._loss_scale:
            gradients, finite = self._loss_scale.unscaled(gradients)
            self._loss_scale.update(finite)
        return sums, self.update.apply(gradients, finite), flags

    def evaluate(self, images, labels, weights):
        """The same sums over all replicas, each example with its weight."""
        logits = self._logits(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        correct = tf.cast(tf.argmax(logits, axis=1) == tf.cast(labels, tf.int64), tf.float32)
        (sums,) = summed([tf.stack([tf.reduce_sum(values * weights) for values in (losses, correct, tf.ones_like(losses))])])
        return sums

    def _gradients(self, images, targets):
        """Of the mean loss with respect to the trainable weights, and the sums, over this replica's part of the batch."""
        pieces = self.recipe.gradient_accumulation_steps
        if pieces == 1:
            return self._gradients_at_once(images, targets)
        images, targets = (tf.reshape(x, (pieces, -1, *x.shape[1:])) for x in (images, targets))

        def body(piece, *totals):
            gradients, sums = self._gradients_at_once(images[piece], targets[piece])
            return piece + 1, *(total + part for total, part in zip(totals, (*gradients, sums), strict=True))

        zeros = [tf.zeros(variable.shape) for variable in self.update.variables]
        _, *gradients, sums = tf.while_loop(lambda piece, *_: piece < pieces, body, [tf.constant(0), *zeros, tf.zeros(3)])
        return gradients, sums

    def _gradients_at_once(self, images, targets):
        values = [variable.value for variable in self.update.variables]
        with tf.GradientTape() as tape:
            logits = self._logits(images, training=True)
            losses = self._losses(targets, logits)
            loss = tf.reduce_sum(losses) / self.recipe.batch_size
            if self._loss_scale:
                loss *= self._loss_scale.factor
        correct = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32))
        sums = tf.stack([tf.reduce_sum(losses), correct, tf.cast(tf.size(losses), tf.float32)])
        return tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO), sums

    def _losses(self, targets, logits):
        """The cross-entropy of each example."""
        smoothing = self.recipe.label_smoothing
        smoothed = (1 - smoothing) * targets + smoothing / targets.shape[1] if smoothing else targets
        losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
        return losses if self._class_weights is None else losses * tf.linalg.matvec(targets, self._class_weights)

    def _logits(self, images, training):
        return tf.cast(self.model(tf.cast(images, tf.float32), training=training), tf.float32)

    def _seed(self):
        """Sets Keras' random states for this step and replica."""
        if self._generators:
            context = tf.distribute.get_replica_context()
            step = tf.cast(self.update.optimizer.iterations.value, tf.int64)
            count = step * context.num_replicas_in_sync + tf.cast(context.replica_id_in_sync_group, tf.int64)
            for generator, seed in zip(self._generators, self._seeds, strict=True):
                state = tf.stack([tf.constant(seed, tf.int64), count])
                generator.state.assign(keras.ops.cast(state, generator.state.dtype))


def summed(tensors):
    """Each tensor summed over the replicas, on every one of them."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
