"""The one function that makes a distribution strategy."""

import tensorflow as tf

from keras_resnet.errors import UserError, choices

STRATEGIES = {
    "auto": tf.distribute.get_strategy,  # TensorFlow's default: the first device
    "one_device": tf.distribute.get_strategy,
}


def make_strategy(name):
    if name not in STRATEGIES:
        raise UserError(f"unknown strategy {name!r}; the strategies are {choices(STRATEGIES)}")
    return STRATEGIES[name]()
