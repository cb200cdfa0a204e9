"""Whether NCCL is there and reduces, with the one GPU of this machine."""

import os

from keras_resnet.benchmarks.session import Session

from .bench import Bench, CheckFailed, Figures

SESSION = f"{__name__}.NcclSession"


class NcclSession(Session):
    def all_reduce(self, variables: dict[str, str]) -> float:
        """The largest difference between a tensor and its sum over one GPU. A strategy of one replica would leave NCCL out."""
        os.environ.update(variables)
        import tensorflow as tf

        @tf.function(autograph=False)
        def reduced(x: tf.Tensor) -> tf.Tensor:
            return tf.raw_ops.NcclAllReduce(input=x, reduction="sum", num_devices=1, shared_name="device_check")

        with tf.device("GPU:0"):
            x = tf.random.normal((1000, 1000))
            return float(tf.reduce_max(tf.abs(reduced(x) - x)))


def reduce_with_nccl(bench: Bench) -> Figures:
    """Sums a tensor over the one GPU."""
    with bench.process(SESSION) as process:
        difference = process.call("all_reduce", variables=bench.variables("tensorflow"))
    if difference:
        raise CheckFailed(f"the sum over one GPU differs from what was summed, by {difference:.1e}", {"difference": difference})
    return {"difference": difference}
