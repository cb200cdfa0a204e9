"""The classifier to export: a file from this package, or any Keras classifier and what its user knows about it."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_resnet import saving
from keras_resnet._keras_internals import all_layers, functional_part, is_functional
from keras_resnet.classifier import load_unchanged, read_metadata, with_preprocessing
from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.weights.checkpoint_formats import CAFFE_MEAN, HALF, IMAGENET_MEAN, IMAGENET_STD

from .inlining import Inliner
from .output_layer import describe_label_count, with_output_layer


class Normalization(NamedTuple):
    """How a network wants its pixels: (pixels / 255 - mean) / std per channel, in `channel_order`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: str


CHECKED_IMAGES = 4
BYTE = 1 / 255
NORMALIZATIONS = {  # the modes of `keras.applications.imagenet_utils.preprocess_input`, and none: pixels from 0 to 255
    "none": Normalization((0.0,) * 3, (BYTE,) * 3, "rgb"),
    "caffe": Normalization(CAFFE_MEAN, (BYTE,) * 3, "bgr"),
    "tf": Normalization(HALF, HALF, "rgb"),
    "torch": Normalization(IMAGENET_MEAN, IMAGENET_STD, "rgb"),
}


@dataclasses.dataclass(frozen=True)
class SourceModel:
    """A model in the layers of its file, on raw pixels (N, H, W, C) from 0 to 255, that ends in an activation layer."""

    model: keras.Model
    metadata: ClassifierMetadata


def load_source_model(
    path: Path | str,
    normalization: str | None = None,
    class_names: Sequence[str] | None = None,
    dataset: str = "",
    image_size: int | None = None,
) -> SourceModel:
    """Reads a `.keras` file that `keras-resnet train` or `import` wrote, or any functional or Sequential Keras classifier.

    Args:
        path: The file, or the `path` of one of `keras_resnet.list_pretrained()`.
        normalization: A key of `NORMALIZATIONS`, for a model from elsewhere.
        class_names: Its class names, in the order of its outputs.
        dataset: The name of the data set that it was trained on.
        image_size: The side in pixels, for a model that takes images of any size.

    Raises:
        UserError: If the file cannot be exported, or the other arguments are missing or contradict it.
    """
    metadata = read_metadata(path) if Path(path).is_file() else None
    model = load_unchanged(path)
    bad = [weight.path for weight in model.weights if not np.isfinite(np.asarray(weight, np.float32)).all()]
    if bad:
        raise UserError(f"{path} has NaN or infinite weights, in {comma_join(bad, 3)}")
    quantized = [layer.name for layer in all_layers(model) if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise UserError(f"{path} is quantized, in {comma_join(quantized, 3)}; export takes a float model and quantizes it")
    if metadata is None:
        model, metadata = wrap_foreign_model(path, model, normalization, class_names, dataset, image_size)
    elif normalization or image_size or class_names not in (None, metadata.labels):
        raise UserError(
            f"{path} has its own preprocessing and labels: "
            "--normalization, --image_size and --labels are for files that this package did not write"
        )
    if model.output_shape[-1] != len(metadata.labels):
        raise UserError(describe_label_count(path, model.output_shape[-1], len(metadata.labels)))
    return SourceModel(model, metadata)


def wrap_foreign_model(
    path: Path | str,
    model: keras.Model,
    normalization: str | None,
    class_names: Sequence[str] | None,
    dataset: str,
    image_size: int | None,
) -> tuple[keras.Model, ClassifierMetadata]:
    """Turns a model from elsewhere into one on raw pixels, with the metadata that its user gave."""
    if normalization not in NORMALIZATIONS:
        found = f"normalization {normalization!r} is unknown" if normalization else f"{path} was not written by this package"
        raise UserError(f"{found}: --normalization says what pixels it was trained on, one of {comma_join(NORMALIZATIONS)}")
    with library_errors_in_one_line(path):
        inlined = inline_submodels(path, model)
    height, width, channels = image_shape(path, inlined, image_size)
    if class_names is None:
        raise UserError(f"{path} does not say what its classes are: give --labels=FILE, or --dataset")
    mean, std, order = NORMALIZATIONS[normalization]
    preprocessing = Preprocessing(height, width, channels, mean[:channels], std[:channels], channel_order=order)
    with library_errors_in_one_line(path):
        classifier = with_output_layer(path, inlined, len(class_names))
        wrapped = with_preprocessing(classifier.model, preprocessing)
        check_equivalent(path, model, wrapped, preprocessing, classifier.probabilities)
    rgb = dataclasses.replace(preprocessing, channel_order="rgb")
    return wrapped, ClassifierMetadata(wrapped.name, dataset, tuple(class_names), rgb)


@contextlib.contextmanager
def library_errors_in_one_line(path: Path | str) -> Iterator[None]:
    """Raises whatever a layer of somebody else's does when it is copied or called as a `UserError` about the file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be rewritten to take raw pixels: {first_line(error)}") from error


def check_equivalent(
    path: Path | str,
    loaded: keras.Model,
    wrapped: keras.Model,
    preprocessing: Preprocessing,
    probabilities: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Raises a `UserError` unless `wrapped` gives for random pixels what `loaded` gives for the same ones normalized.

    `probabilities` makes those of `wrapped` from the outputs of `loaded`.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (CHECKED_IMAGES, *preprocessing.shape)).astype("float32")
    images = preprocessing.normalize(pixels)
    inputs = keras.tree.map_structure(lambda tensor: images, functional_part(loaded).input)
    [outputs] = keras.tree.flatten(loaded(inputs, training=False))
    outputs = np.asarray(keras.ops.cast(outputs, "float32"))
    expected, found = probabilities(outputs), np.asarray(wrapped(pixels, training=False))
    if not np.isfinite(outputs).all():
        raise UserError(f"{path} gives outputs for random pixels that are NaN or infinite")
    if np.shape(expected) == np.shape(outputs) and is_distribution(outputs) and not np.allclose(outputs, expected, atol=0.1):
        raise UserError(f"{path} ends in a linear layer, but gives probabilities already: save a model that ends in a softmax")
    precise = all(layer.compute_dtype == "float32" for layer in all_layers(loaded))
    if found.shape != expected.shape or not np.abs(found - expected).max() < (1e-3 if precise else 0.1):
        raise UserError(f"{path} cannot be rewritten to take raw pixels: its copy gives other outputs")


def is_distribution(outputs: np.ndarray) -> bool:
    """Whether each row holds the probabilities of several classes."""
    return outputs.shape[-1] > 1 and bool(np.all(outputs >= 0) and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3))


def inline_submodels(path: Path | str, model: keras.Model) -> keras.Model:
    """A functional copy in float32, in which the layers of nested models, as in transfer learning, stand in their place."""
    if not is_functional(functional_part(model)):
        raise UserError(f"{path} holds no functional or Sequential model with an input: {saving.describe_model(model)}")
    inputs, outputs = model.inputs, model.outputs
    if (len(inputs), len(outputs)) != (1, 1):
        advice = ": save keras.Model(model.inputs, model.outputs[0]) for the first output alone" if len(inputs) == 1 else ""
        raise UserError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; "
            f"export takes a functional model with one of each{advice}"
        )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", model.name).lstrip("_-.") or "model"  # what TensorFlow takes for a scope
    return Inliner().inline(keras.Model(inputs[0], outputs[0], name=name))


def image_shape(path: Path | str, model: keras.Model, image_size: int | None) -> tuple[int, int, int]:
    """The (height, width, channels) of the images to export for; `image_size` is the side where the model leaves it open."""
    shape = model.input_shape
    if len(shape) != 4 or shape[-1] not in (1, 3):
        advice = (
            "; a Permute((3, 1, 2)) in front makes a channels_first model take such"
            if len(shape) == 4 and shape[1] in (1, 3)
            else ""
        )
        raise UserError(f"{path} takes {shape}; images are (N, height, width, channels) with 1 or 3 channels{advice}")
    height, width = (side or image_size for side in shape[1:3])
    if not (height and width):
        raise UserError(f"{path} takes images of any size: --image_size says which size to export for")
    if image_size and (height, width) != (image_size, image_size):
        raise UserError(f"{path} takes images of {shape[1]}x{shape[2]}, not of {image_size}x{image_size}")
    return height, width, shape[-1]
