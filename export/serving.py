"""What every artifact computes: raw pixels to class probabilities."""

import keras
import tensorflow as tf

INPUT = "pixels"
OUTPUTS = ("probabilities", "logits")


def truncate_to_logits(model, output):
    """A classifier as it is, for "probabilities", or without the activation that it ends in, for "logits"."""
    assert output in OUTPUTS, output
    if output == "probabilities":
        return model
    return keras.Model(model.input, model.layers[-1].input, name=model.name)


def serving_function(model, output, dtype="uint8"):
    """A `tf.function` from pixels (N, H, W, C), 0 to 255, to {output: float32 (N, classes)}, by a model on raw pixels.

    dtype: what the pixels come in, "uint8" or "float32". Full int8 files are quantised from the latter: a cast at the edge
    would stay outside of the integers.
    """
    signature = tf.TensorSpec((None, *model.input_shape[1:]), dtype, name=INPUT)

    @tf.function(input_signature=[signature])
    def serve(pixels):
        return {output: tf.cast(model(tf.cast(pixels, tf.float32), training=False), tf.float32)}

    return serve
