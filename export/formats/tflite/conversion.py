"""TFLite (LiteRT), by TensorFlow's converter."""

import re

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from keras_resnet.environment import quiet_stderr
from keras_resnet.errors import UserError, comma_join, first_line

from ..saved_model.writer import PIXELS

LACKING = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")


def convert(saved_model):
    """The bytes of a `.tflite` file that computes the `serving_default` of a SavedModel folder.

    By way of the SavedModel, because the converter leaves the variables of a Keras 3 model unfrozen when it is handed a
    concrete function; such a file works, at a seventh of the speed. Raises a `UserError` for a network that LiteRT has no
    operators for.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[PIXELS])
    error = None
    with quiet_stderr():
        try:
            content = converter.convert()
        except ConverterError as caught:
            error = caught
    if error:
        lacking = sorted(set(LACKING.findall(str(error))))
        reason = f"LiteRT has no operator for {comma_join(lacking)}" if lacking else first_line(error)
        raise UserError(f"{reason}: this network cannot become TFLite; --formats leaves that out") from error
    return content
