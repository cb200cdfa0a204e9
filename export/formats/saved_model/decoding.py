"""Image files to the pixels that evaluation makes of them, in TensorFlow's operations only: a server has no Python."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_resnet.preprocessing import Preprocessing

from .codecs import decode_plain, decode_upright, may_be_plain
from .resizing import resize_and_crop

INPUT, ERRORS = "image_bytes", "errors"  # the input, and the output that there is beside those of the network
CHANNELS = (1, 3)  # what `keras_resnet.preprocessing.open_image` makes of a file
LUMA = (19595, 38470, 7471)  # Pillow's "L": ITU-R 601, (.299, .587, .114) in 16 bits
PARALLEL_CALLS = 16  # at most; TensorFlow's threads are as many as the machine has cores
READABLE = "JPEG, PNG, GIF, WebP and BMP"
DAMAGED = "is damaged, or of a kind that TensorFlow does not read"
OTHER_CONTENT = (  # what a file is that could not be read, by bytes at a place
    (0, b"\xff\xd8\xff", DAMAGED),
    (0, b"\x89PNG", DAMAGED),
    (0, b"GIF8", DAMAGED),
    (0, b"BM", DAMAGED),
    (8, b"WEBP", DAMAGED),
    (0, b"II*\0", f"is a TIFF image; it takes {READABLE}"),
    (0, b"MM\0*", f"is a TIFF image; it takes {READABLE}"),
    (4, b"jP  ", f"is a JPEG 2000 image; it takes {READABLE}"),
    (4, b"ftypavif", f"is an AVIF image; it takes {READABLE}"),
    (4, b"ftyphei", f"is a HEIC image; it takes {READABLE}"),
    (4, b"ftypmif1", f"is a HEIC image; it takes {READABLE}"),
)


def image_bytes_signature(serve: Any, preprocessing: Preprocessing) -> Any:
    """Returns a `tf.function` from image files, string (N,), each of its own format and size, to what `serve` gives for them.

    The files are JPEG, PNG, GIF (its first frame), WebP (likewise) or BMP with 8, 24 or 32 bits. The pixels are those of
    `Preprocessing.load_image`, turned upright and without transparency, to the last bit. JPEG files of four inks alone may
    differ, by one level of 255 before they are resized.

    There is one more output, `errors`: string (N,), empty for an image that was read, and otherwise why it was not. All other
    outputs of that image are 0. They are not NaN because JSON has none: one would cost the answer for the whole batch.

    Args:
        serve: From pixels (N, H, W, C), of whatever dtype its signature has, to a dict of outputs, each with N rows.
        preprocessing: Of the classifier.
    """

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=INPUT)], autograph=False)
    def serve_bytes(image_bytes: tf.Tensor) -> dict[str, Any]:
        with tf.device("CPU"):
            images, was_read = load_batch(image_bytes, preprocessing)
            none = tf.fill(tf.shape(image_bytes), "")
            reasons = tf.cond(tf.reduce_all(was_read), lambda: none, lambda: tf.where(was_read, none, why_not(image_bytes)))
        served = serve(tf.cast(images, serve.input_signature[0].dtype))
        outputs = {name: zero_unless(was_read, output) for name, output in served.items()}
        return {**outputs, ERRORS: reasons}

    return serve_bytes


def load_batch(contents: Any, preprocessing: Preprocessing) -> tuple[Any, Any]:
    """Reads image files, string (N,) -> uint8 (N, height, width, channels), and bool (N,): whether each could be read."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)], autograph=False)
    def finish(image: Any) -> Any:
        return resize_and_crop(image if preprocessing.channels == 3 else grayscale(image), preprocessing)

    plain = tf.reduce_all(may_be_plain(contents))
    none = tf.zeros((0, *preprocessing.shape), tf.uint8)
    images = tf.cond(plain, lambda: load_plain_files(contents, finish, none), lambda: none)
    images = tf.ensure_shape(images, (None, *preprocessing.shape))
    all_read = tf.equal(tf.shape(images)[0], tf.size(contents))
    return tf.cond(
        all_read,
        lambda: (images, tf.fill(tf.shape(contents), True)),
        lambda: load_any_files(contents, finish, preprocessing),
    )


def load_plain_files(contents: Any, finish: Callable[[Any], Any], none: Any) -> Any:
    """Reads plain JPEG and PNG files: uint8 (N, height, width, channels), or `none` of that shape if one is not.

    An operation that fails ends everything around it, except in a `tf.data` pipeline that is told to ignore errors: it drops
    the element. This pipeline has one element, all the files: TensorFlow prepares its operations for each element anew.
    """
    pixels = tf.TensorSpec(none.shape[1:], tf.uint8)

    def load_all(contents: Any) -> Any:
        return tf.map_fn(lambda content: finish(decode_plain(content)), contents, fn_output_signature=pixels)

    images = tf.data.Dataset.from_tensors(contents).map(load_all).ignore_errors()
    return images.concatenate(tf.data.Dataset.from_tensors(none)).take(1).with_options(without_tuning()).get_single_element()


def load_any_files(contents: Any, finish: Callable[[Any], Any], preprocessing: Preprocessing) -> tuple[Any, Any]:
    """Reads files of all kinds, one by one. Returns the same as `load_batch`.

    Where the pipeline dropped one, the zeros at its end take its place.
    """
    count = tf.size(contents, out_type=tf.int64)
    files = tf.data.Dataset.from_tensor_slices((tf.range(count), contents))
    images = files.map(
        lambda row, content: (row, finish(decode_upright(content))), num_parallel_calls=PARALLEL_CALLS
    ).ignore_errors()
    end = tf.data.Dataset.from_tensors((count, tf.zeros(preprocessing.shape, tf.uint8)))
    batch = images.concatenate(end).batch(count + 1).with_options(without_tuning())
    rows, pixels = batch.get_single_element()
    last = tf.size(rows) - 1
    places = tf.scatter_nd(rows[:, tf.newaxis], tf.range(last + 1) - last, tf.expand_dims(count + 1, 0))[:-1] + last
    return tf.ensure_shape(tf.gather(pixels, places), (None, *preprocessing.shape)), places < last


def without_tuning() -> tf.data.Options:
    """For a pipeline of one batch, in which there is nothing to learn, and whose end is not to wait for it."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def grayscale(image: Any) -> Any:
    """Converts uint8 (H, W, 3), RGB -> uint8 (H, W, 1), as Pillow does."""
    weighted = tf.reduce_sum(tf.cast(image, tf.int32) * LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.uint8)


def why_not(contents: Any) -> Any:
    """Tells why image files, string (N,), cannot be read, in words: string (N,)."""
    heads = tf.strings.join([tf.strings.substr(contents, 0, 16), bytes(16)])
    reasons = tf.fill(tf.shape(contents), f"is in no format that is read here: {READABLE}")
    for place, signature, reason in OTHER_CONTENT:
        reasons = tf.where(tf.equal(tf.strings.substr(heads, place, len(signature)), signature), reason, reasons)
    return tf.strings.join(["the image ", tf.where(tf.equal(contents, b""), "is empty", reasons)])


def zero_unless(was_read: Any, output: Any) -> Any:
    """Puts 0 in the rows of an output, (N, ...), whose image was not read."""
    rows = tf.reshape(was_read, (-1, *(1,) * (output.shape.rank - 1)))
    return tf.where(rows, output, tf.zeros((), output.dtype))
