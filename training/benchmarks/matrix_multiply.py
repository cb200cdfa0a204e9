"""How fast this machine multiplies large matrices in float32: the most that a network could reach."""

import tensorflow as tf

SIDE = 4096


class MatrixMultiply:
    def __init__(self, config):
        self.steps = 1

    def load(self, steps):
        self.steps = steps

    def build(self):
        self._factor = tf.random.normal((SIDE, SIDE))
        self._multiply = tf.function(lambda x: tf.matmul(x, x), autograph=False)

    def run(self):
        for _ in range(self.steps):
            float(self._multiply(self._factor)[0, 0])  # waits for it

    def facts(self):
        return {"operations": 2 * SIDE**3}
