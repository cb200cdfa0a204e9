"""What every artefact computes: raw pixels to class probabilities."""

import keras
import tensorflow as tf

from keras_resnet.layers import LOGITS

INPUT = "pixels"
OUTPUTS = ("probabilities", "logits")


def with_output(model, output):
    """A classifier of ours as it is, for "probabilities", or without its last activation, for "logits"."""
    assert output in OUTPUTS, output
    if output == "probabilities":
        return model
    return keras.Model(model.input, model.get_layer(LOGITS).output, name=model.name)


def serving_function(model, output):
    """A `tf.function` from uint8 (N, H, W, C), 0 to 255, to {output: float32 (N, classes)}, by a model on raw pixels."""
    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=INPUT)

    @tf.function(input_signature=[signature])
    def serve(pixels):
        return {output: tf.cast(model(tf.cast(pixels, tf.float32), training=False), tf.float32)}

    return serve
