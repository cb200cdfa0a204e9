"""What TensorFlow says of an image that cannot be read in the middle of a training, as one line."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from keras_resnet.errors import UserError

INPUT_PIPELINE = ("PyFunc", "IteratorGetNext")  # in what TensorFlow says of an operation that failed


@contextlib.contextmanager
def missing_file_as_user_error() -> Iterator[None]:
    """Inside, an image that disappears or changes raises a `UserError`: TensorFlow passes on the text of its error only."""
    try:
        yield
    except tf.errors.OpError as error:
        message = str(error.message)
        if not any(name in message for name in INPUT_PIPELINE):
            raise
        if found := re.search(r"\bBadImageError: (.+)", message):
            raise UserError(found[1]) from error
        if found := re.search(r"\bContainerChangedError: (.+)", message):
            raise UserError(f"{found[1]}; once it is as it was, the same command continues") from error
        found = re.search(r"\b[A-Z]\w*Error: (.+)", message)
        reason = found[1] if found else next((line for line in message.splitlines() if line and line[-1] in ".'"), message)
        if "[Errno 2]" in reason:
            raise UserError(f"an image file has disappeared: {reason}; once it is back, the same command continues") from error
        raise UserError(f"an image cannot be read any more: {reason}; once it can, the same command continues") from error
