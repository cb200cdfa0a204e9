"""What every artifact computes: raw pixels to class probabilities, or to logits."""

from typing import Any

import keras
import tensorflow as tf

from .formats.format import INPUT, OUTPUTS


def select_output(model: keras.Model, output: str) -> keras.Model:
    """Returns a classifier with one of `OUTPUTS`: as it is for "probabilities", without its last activation for "logits"."""
    assert output in OUTPUTS, output
    if output == "probabilities":
        return model
    return keras.Model(model.input, model.layers[-1].input, name=model.name)


def serving_function(model: keras.Model, output: str, dtype: str = "uint8") -> Any:
    """Returns a `tf.function` from pixels (N, H, W, C), 0 to 255, to {output: float32 (N, classes)}.

    Args:
        model: Takes raw pixels.
        output: One of `OUTPUTS`.
        dtype: Of the pixels, one of `formats.format.INPUT_DTYPES`. Full int8 files are quantized from float32: a cast at the
            edge would stay outside of the integers.
    """
    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.as_dtype(dtype), name=INPUT)

    @tf.function(input_signature=[signature])
    def serve(pixels: tf.Tensor) -> dict[str, Any]:
        return {output: tf.cast(model(tf.cast(pixels, tf.float32), training=False), tf.float32)}

    return serve
