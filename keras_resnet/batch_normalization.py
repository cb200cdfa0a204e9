"""Keras' BatchNormalization on TensorFlow's fused kernel."""

from typing import Any

import keras
from keras import ops

FUSED_DTYPES = ("float32", "float16", "bfloat16")  # the kernel has no float64


@keras.saving.register_keras_serializable(package="keras_resnet")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, several times faster on TensorFlow: (N, H, W, C) -> (N, H, W, C).

    Keras 3 computes the layer as a chain of elementwise operations; this one calls TensorFlow's fused kernel, in training
    and in inference. Same weights, same configuration, and the same numbers to float precision. It has the same class name
    because `.weights.h5` files are keyed by it. Where the kernel does not apply (another backend, rank other than 4,
    channels not last, float64, a mask, renorm, or statistics synchronized across replicas), Keras' own code runs. Synchronized
    variances are the exception to it: Keras takes mean(x^2) - mean(x)^2, which loses digits; here the replicas' own are merged.

    One deviation: an empty batch (a replica that got no images) leaves the moving statistics as they are, where Keras'
    become NaN.

    Args:
        *args: those of `keras.layers.BatchNormalization`.
        **kwargs: those of `keras.layers.BatchNormalization`.
        preprocessing: how images are prepared for the network that the layer belongs to, as JSON; the layer itself does not
            use it. It is stored here because this is the only layer class of the package, and so the only place in a
            network's configuration that `clone_model`, `save` and `load_model` of Keras itself keep for us.
    """

    def __init__(self, *args: Any, preprocessing: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preprocessing = preprocessing

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config if self.preprocessing is None else {**config, "preprocessing": self.preprocessing}

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
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

    def _fused_kernel_applies(self, inputs: Any, training: bool, mask: Any) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) in FUSED_DTYPES
            and mask is None
            and not self.renorm
            and not (training and self._spans_replicas())
        )

    def _spans_replicas(self) -> bool:
        import tensorflow as tf

        return self.synchronized and tf.distribute.get_strategy().num_replicas_in_sync > 1

    def _moments(self, inputs: Any, mask: Any) -> Any:  # overrides the hook of Keras' layer
        """The mean and variance over the images of all replicas: the variance within them, and that between their means."""
        if keras.backend.backend() != "tensorflow" or mask is not None or not self._spans_replicas():
            return super()._moments(inputs, mask)
        import tensorflow as tf

        def all_reduce_sum(values: Any) -> Any:
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

        axes = [axis for axis in range(len(inputs.shape)) if axis != self.axis % len(inputs.shape)]
        mean, variance = tf.nn.moments(inputs, axes)
        count = tf.cast(tf.size(inputs) // tf.size(mean), inputs.dtype)
        mean, variance = (tf.where(count > 0, values, 0) for values in (mean, variance))
        total = all_reduce_sum(tf.concat([count * mean, [count]], 0))
        count_of_all = total[-1]
        mean_of_all = total[:-1] / count_of_all
        return mean_of_all, all_reduce_sum(count * (variance + tf.square(mean - mean_of_all))) / count_of_all

    def _update_moving_statistics(self, mean: Any, variance: Any, count: Any) -> None:
        """Makes Keras' update from the kernel's statistics of `count` = N*H*W values per channel.

        The kernel returns the Bessel-corrected variance, n/(n-1) times the one that Keras averages.
        """
        import tensorflow as tf

        count = tf.cast(count, "float32")
        variance *= tf.maximum(count - 1, 0) / tf.maximum(count, 1)
        statistics: Any = ((self.moving_mean, mean), (self.moving_variance, variance))
        for moving, batch in statistics:
            batch = ops.cast(batch, moving.dtype)
            update = moving * self.momentum + batch * (1.0 - self.momentum)
            moving.assign(tf.where(count > 0, update, moving))
