"""The training and evaluation steps, written for any `tf.distribute` strategy."""

import keras
import tensorflow as tf


class Loop:
    """A network in training: `train(batches)` and `evaluate(batches)` run over data and return loss and accuracy.

    Several steps run inside one call of a `tf.function`, which spares the host; metrics are summed on the device.
    """

    STEPS_PER_CALL = 10

    def __init__(self, strategy, model, optimizer, *, global_batch, coupled_decay=0.0):
        """`model` gives logits; `coupled_decay * w` is added to every gradient, the derivative of `decay/2 * |w|**2`."""
        self.strategy, self.model, self.optimizer = strategy, model, optimizer
        self._global_batch, self._coupled_decay = global_batch, coupled_decay
        self._loss, self._accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()

    def train(self, batches, on_steps=lambda done: None):
        """One pass over `batches` of (images, labels); `on_steps` hears how many steps of it are done."""
        return self._run(self._train_steps, batches, on_steps)

    def evaluate(self, batches):
        """One pass over `batches` of (images, labels, weights)."""
        return self._run(self._test_steps, batches, lambda done: None)

    def _run(self, run_steps, batches, on_steps):
        self._loss.reset_state()
        self._accuracy.reset_state()
        iterator = iter(self.strategy.experimental_distribute_dataset(batches))
        steps, done = int(batches.cardinality()), 0
        while done < steps:
            count = min(steps - done, self.STEPS_PER_CALL)
            run_steps(iterator, tf.constant(count))
            done += count
            on_steps(done)
        return {"loss": float(self._loss.result()), "accuracy": float(self._accuracy.result())}

    @tf.function(autograph=False)
    def _train_steps(self, iterator, count):
        self._repeat(self._train_step, iterator, count)

    @tf.function(autograph=False)
    def _test_steps(self, iterator, count):
        self._repeat(self._test_step, iterator, count)

    def _repeat(self, step, iterator, count):
        def body(done):
            self.strategy.run(step, args=next(iterator))
            return done + 1

        tf.while_loop(lambda done: done < count, body, [tf.constant(0)])

    def _train_step(self, images, labels):
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits, losses = self._forward(images, labels, training=True)
            loss = tf.reduce_sum(losses) / self._global_batch
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        if self._coupled_decay:
            decay = self._coupled_decay / self.strategy.num_replicas_in_sync  # the replicas' gradients are summed
            gradients = [gradient + decay * variable for gradient, variable in zip(gradients, variables, strict=True)]
        self.optimizer.apply(gradients, variables)
        self._update_metrics(labels, logits, losses)

    def _test_step(self, images, labels, weights):
        logits, losses = self._forward(images, labels, training=False)
        self._update_metrics(labels, logits, losses, weights)

    def _forward(self, images, labels, training):
        logits = tf.cast(self.model(tf.cast(images, tf.float32), training=training), tf.float32)
        return logits, tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def _update_metrics(self, labels, logits, losses, weights=None):
        self._loss.update_state(losses, weights)
        self._accuracy.update_state(labels, logits, weights)
