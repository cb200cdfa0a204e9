"""Requests that TensorFlow Serving runs before it calls a model ready, so that nobody waits for the first ones.

It finds them under the name of `WARMUP_MEMBER` in the SavedModel. See tensorflow.org/tfx/serving/saved_model_warmup.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from keras_resnet.images import ORIENTATION
from keras_resnet.preprocessing import Preprocessing

WARMUP_MEMBER = Path("assets.extra", "tf_serving_warmup_requests")
BATCH_SIZES = (1, 8)
GRAY = 128


def write_warmup(path: Path, signatures: Mapping[str, tf.TensorSpec], preprocessing: Preprocessing) -> None:
    """Writes requests of `BATCH_SIZES` for each signature into a SavedModel folder, on gray images: nobody's own are in it.

    Args:
        path: The folder.
        signatures: The input of each signature, by its name.
        preprocessing: Of the classifier.
    """
    with tf.io.TFRecordWriter(str(path / WARMUP_MEMBER)) as writer:
        for log in request_logs(signatures, preprocessing):
            writer.write(log.SerializeToString())


def request_logs(signatures: Mapping[str, tf.TensorSpec], preprocessing: Preprocessing) -> Iterator[Any]:
    """Yields a `PredictionLog` for each request."""
    messages: Any = prediction_log_pb2  # whose classes are made when it is imported
    for signature, pixels in signatures.items():
        for count in BATCH_SIZES:
            log = messages.PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            is_files = pixels.dtype == tf.string
            tensor = gray_files(count, preprocessing) if is_files else gray_pixels(count, pixels.dtype, preprocessing)
            request.inputs[pixels.name].CopyFrom(tensor)
            yield log


def gray_pixels(count: int, dtype: tf.DType, preprocessing: Preprocessing) -> Any:
    """(count, height, width, channels) in a few bytes: the last value of a `TensorProto` stands for all that lack."""
    return tf.make_tensor_proto(GRAY, dtype, (count, *preprocessing.shape))


def gray_files(count: int, preprocessing: Preprocessing) -> Any:
    """string (count,): JPEG files, larger than what the network takes, as most are.

    One is plain. Several are to be turned, as photographs are: they take the other way through `decoding.load_batch`.
    """
    exif = Image.Exif()
    if count > 1:
        exif[ORIENTATION] = 6
    content = io.BytesIO()
    Image.new("RGB", (2 * preprocessing.width, 2 * preprocessing.height), (GRAY,) * 3).save(content, "JPEG", exif=exif)
    return tf.make_tensor_proto([content.getvalue()] * count, tf.string)
