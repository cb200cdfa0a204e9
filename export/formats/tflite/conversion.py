"""TFLite (LiteRT), by TensorFlow's converter."""

import re
from pathlib import Path

import tensorflow as tf

from keras_resnet._tensorflow_internals import ConverterError
from keras_resnet.environment import quiet_stderr
from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.files import without_pattern

from ..saved_model.archive import SERVING_DEFAULT
from .batch_axis import fix_shapes

UNSUPPORTED = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")


def convert(saved_model: Path) -> bytes:
    """Converts the `serving_default` of a SavedModel folder to the bytes of a `.tflite` file.

    By way of the SavedModel, because the converter leaves the variables of a Keras 3 model unfrozen when it is handed a
    concrete function; such a file works, at a seventh of the speed.

    Raises:
        UserError: For a network that LiteRT has no operators for.
    """
    error = None
    with quiet_stderr(), without_pattern(saved_model) as folder:
        try:
            content = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[SERVING_DEFAULT]).convert()
            return fix_shapes(content)
        except ConverterError as caught:  # raised only after stderr is back, which is not to show the converter's log
            error = caught
    unsupported = sorted(set(UNSUPPORTED.findall(str(error))))
    reason = f"LiteRT has no operator for {comma_join(unsupported)}" if unsupported else first_line(error)
    raise UserError(f"{reason}: this network cannot be converted to TFLite; leave tflite out of --formats") from error
