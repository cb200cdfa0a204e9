"""How fast this machine multiplies large matrices in float32: the most that a network could reach."""

import tensorflow as tf

from .candidates import WorkloadInfo
from .config import BenchmarkConfig

SIDE = 4096


class Matmul:
    def __init__(self, config: BenchmarkConfig) -> None:
        self.steps = 1

    def load_data(self, steps: int) -> None:
        self.steps = steps

    def build(self) -> None:
        self._factor = tf.random.normal((SIDE, SIDE))
        self._multiply = tf.function(lambda x: tf.matmul(x, x), autograph=False)

    def run(self) -> None:
        for _ in range(self.steps):
            float(self._multiply(self._factor)[0, 0])  # waits for it

    def info(self) -> WorkloadInfo:
        return {"operations": 2 * SIDE**3}
