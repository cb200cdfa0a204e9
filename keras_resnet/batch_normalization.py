"""Keras' BatchNormalization on TensorFlow's fused kernel."""

import keras
from keras import ops

FUSED_DTYPES = ("float32", "float16", "bfloat16")  # the kernel has no float64


@keras.saving.register_keras_serializable(package="keras_resnet")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, several times faster on TensorFlow: (N, H, W, C) -> (N, H, W, C).

    Keras 3 computes the layer as a chain of elementwise operations; this one calls TensorFlow's fused kernel, in training
    and in inference. Same weights, same configuration, and the same numbers to float precision. It has the same class name
    because `.weights.h5` files are keyed by it. Where the kernel does not apply (another backend, rank other than 4,
    channels not last, float64, a mask, renorm, or statistics synchronised across replicas), Keras' own code runs. Synchronised
    variances are the exception to it: Keras takes mean(x^2) - mean(x)^2, which loses digits; here the replicas' own are merged.

    One deviation: an empty batch (a replica that got no images) leaves the moving statistics as they are, where Keras'
    become NaN.
    """

    def call(self, inputs, training=None, mask=None):
        training = bool(training) and self.trainable
        if not self._fused_kernel_applies(inputs, training, mask):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        channels = inputs.shape[-1]
        gamma = ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels)
        beta = ops.cast(self.beta, "float32") if self.center else tf.zeros(channels)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=() if training else ops.cast(self.moving_mean, "float32"),
            variance=() if training else ops.cast(self.moving_variance, "float32"),
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            self._update_moving_statistics(mean, variance, count=tf.size(inputs) // channels)
        return ops.cast(outputs, self.compute_dtype)

    def _fused_kernel_applies(self, inputs, training, mask):
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) in FUSED_DTYPES
            and mask is None
            and not self.renorm
            and not (training and self._spans_replicas())
        )

    def _spans_replicas(self):
        import tensorflow as tf

        return self.synchronized and tf.distribute.get_strategy().num_replicas_in_sync > 1

    def _moments(self, inputs, mask):
        """Over the images of all replicas: what the variance is within them, and between their means."""
        if keras.backend.backend() != "tensorflow" or mask is not None or not self._spans_replicas():
            return super()._moments(inputs, mask)
        import tensorflow as tf

        def summed(values):
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

        axes = [axis for axis in range(len(inputs.shape)) if axis != self.axis % len(inputs.shape)]
        mean, variance = tf.nn.moments(inputs, axes)
        count = tf.cast(tf.size(inputs) // tf.size(mean), inputs.dtype)
        mean, variance = (tf.where(count > 0, values, 0) for values in (mean, variance))
        total = summed(tf.concat([count * mean, [count]], 0))
        count_of_all = total[-1]
        mean_of_all = total[:-1] / count_of_all
        return mean_of_all, summed(count * (variance + tf.square(mean - mean_of_all))) / count_of_all

    def _update_moving_statistics(self, mean, variance, count):
        """Keras' update, from the kernel's statistics: `count` = N*H*W values per channel.

        The kernel returns the Bessel-corrected variance, n/(n-1) times the one that Keras averages.
        """
        import tensorflow as tf

        count = tf.cast(count, "float32")
        variance *= tf.maximum(count - 1, 0) / tf.maximum(count, 1)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            batch = ops.cast(batch, moving.dtype)
            update = moving * self.momentum + batch * (1.0 - self.momentum)
            moving.assign(tf.where(count > 0, update, moving))
