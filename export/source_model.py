"""The classifier to export: a file from this package, or any Keras classifier and what its user knows about it."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_resnet import saving
from keras_resnet._keras_internals import (
    all_layers,
    functional_part,
    is_functional,
    producer,
    producer_inputs,
    run_through_graph,
)
from keras_resnet.classifier import with_preprocessing
from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models.naming import LOGITS_LAYER, PREDICTIONS_LAYER
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.weights.checkpoint_formats import CAFFE_MEAN, HALF, IMAGENET_MEAN, IMAGENET_STD

from .fold.layers import is_identity


class Normalization(NamedTuple):
    """How a network wants its pixels: (pixels / 255 - mean) / std per channel, in `channel_order`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: str


BYTE = 1 / 255
NORMALIZATIONS = {  # the modes of `keras.applications.imagenet_utils.preprocess_input`, and none: pixels from 0 to 255
    "none": Normalization((0.0,) * 3, (BYTE,) * 3, "rgb"),
    "caffe": Normalization(CAFFE_MEAN, (BYTE,) * 3, "bgr"),
    "tf": Normalization(HALF, HALF, "rgb"),
    "torch": Normalization(IMAGENET_MEAN, IMAGENET_STD, "rgb"),
}
GLOBAL_POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
PROBABILITY_ACTIVATIONS = (keras.activations.softmax, keras.activations.sigmoid)


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
        path: The file.
        normalization: A key of `NORMALIZATIONS`, for a model from elsewhere.
        class_names: Its class names, in the order of its outputs.
        dataset: The name of the data set that it was trained on.
        image_size: The side in pixels, for a model that takes images of any size.

    Raises:
        UserError: If the file cannot be exported, or the other arguments are missing or contradict it.
    """
    metadata = ClassifierMetadata.read_from(path) if Path(path).is_file() else None
    model = saving.load_as_saved(path)
    bad = [weight.path for weight in model.weights if not np.isfinite(np.asarray(weight, np.float32)).all()]
    if bad:
        raise UserError(f"{path} has NaN or infinite weights, in {comma_join(bad, 3)}")
    if metadata is None:
        model, metadata = wrap_foreign_model(path, model, normalization, class_names, dataset, image_size)
    elif normalization or image_size or class_names not in (None, metadata.labels):
        raise UserError(
            f"{path} has its own preprocessing and labels: "
            "--normalization, --image_size and --labels are for files that this package did not write"
        )
    if model.output_shape[-1] != len(metadata.labels):
        raise UserError(f"{path} has {model.output_shape[-1]} outputs and {len(metadata.labels)} labels")
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
    inlined = inline_submodels(path, model)
    (height, width, channels) = image_shape(path, inlined, image_size)
    if class_names is None:
        raise UserError(f"{path} does not say what its classes are: give --labels=FILE, or --dataset")
    mean, std, order = NORMALIZATIONS[normalization]
    preprocessing = Preprocessing(height, width, channels, mean[:channels], std[:channels], channel_order=order)
    wrapped = with_preprocessing(with_softmax_output(path, inlined), preprocessing)
    check_equivalent(path, model, wrapped, preprocessing)
    rgb = dataclasses.replace(preprocessing, channel_order="rgb")
    return wrapped, ClassifierMetadata(wrapped.name, dataset, tuple(class_names), rgb)


def check_equivalent(path: Path | str, loaded: keras.Model, wrapped: keras.Model, preprocessing: Preprocessing) -> None:
    """Raises a `UserError` unless `wrapped` gives for random pixels what `loaded` gives for the same ones normalized."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, *preprocessing.shape)).astype("float32")
    outputs = loaded(preprocessing.normalize(pixels), training=False)
    expected = np.asarray(keras.ops.cast(outputs, "float32"))
    if np.any(expected < 0) or np.any(expected > 1):
        expected = np.asarray(keras.ops.softmax(expected))
    found = np.asarray(wrapped(pixels, training=False))
    precise = all(layer.compute_dtype == "float32" for layer in all_layers(loaded))
    if not np.abs(found - expected).max() < (1e-3 if precise else 0.1):
        raise UserError(f"{path} cannot be rewritten to take raw pixels: its copy gives other outputs")


def inline_submodels(path: Path | str, model: keras.Model) -> keras.Model:
    """A functional copy in float32, in which the layers of nested models, as in transfer learning, stand in their place."""
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise UserError(f"{path} is a Sequential model that was never built: it has no input shape")
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    inputs, outputs = (len(keras.tree.flatten(getattr(model, side, None) or [])) for side in ("inputs", "outputs"))
    if (inputs, outputs) != (1, 1) or not is_functional(model):
        raise UserError(f"{path} has {inputs} inputs and {outputs} outputs; export takes a functional model with one of each")
    quantized = [layer.name for layer in all_layers(model) if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise UserError(f"{path} is quantized, in {comma_join(quantized, 3)}; export takes a float model and quantizes it")
    return Inliner().inline(model)


class Inliner:
    """Copies the operations of a model and of the models inside it, each once and under a name of its own."""

    def __init__(self) -> None:
        self._copies: dict[Any, Any] = {}
        self._names: collections.Counter[str] = collections.Counter()

    def inline(self, model: keras.Model) -> keras.Model:
        inlined = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=self._call)
        for operation, copy in self._copies.items():
            if isinstance(operation, keras.Layer):
                saving.copy_weights(operation, copy)
        return inlined

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the copy of an operation; for a model, the copies of what is inside it."""
        inner = functional_part(operation)
        if is_functional(inner):
            return run_through_graph(inner, args[0], lambda inside: functools.partial(self._call, inside))
        return self.copy(operation)(*args, **kwargs)

    def copy(self, operation: Any) -> Any:
        """The one copy of a layer, in float32 and without its weights yet, or of another operation."""
        if operation not in self._copies:
            config, name = operation.get_config(), self.unique_name(operation.name)
            if isinstance(operation, keras.Layer):
                copy = type(operation).from_config({**config, "dtype": "float32", "name": name})
            else:  # whose constructor may not take a name
                copy = type(operation).from_config(config)
                copy.name = name
            self._copies[operation] = copy
        return self._copies[operation]

    def unique_name(self, name: str) -> str:
        """The name, with a number if an operation of another of the models has it already."""
        self._names[name] += 1
        return name if self._names[name] == 1 else self.unique_name(f"{name}_{self._names[name] - 1}")


def image_shape(path: Path | str, model: keras.Model, image_size: int | None) -> tuple[int, int, int]:
    """The (height, width, channels) of the images to export for; `image_size` is the side where the model leaves it open."""
    shape = model.input_shape
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise UserError(f"{path} takes {shape}; images are (N, height, width, channels) with 1 or 3 channels")
    height, width = (side or image_size for side in shape[1:3])
    if not (height and width):
        raise UserError(f"{path} takes images of any size: --image_size says which size to export for")
    if image_size and (height, width) != (image_size, image_size):
        raise UserError(f"{path} takes images of {shape[1]}x{shape[2]}, not of {image_size}x{image_size}")
    return height, width, shape[-1]


def with_softmax_output(path: Path | str, model: keras.Model) -> keras.Model:
    """The same model with its activation as a layer of its own at the end; a softmax if it ends in logits."""
    if len(model.output_shape) != 2:
        raise UserError(f"{path} gives {model.output_shape}; a classifier gives (N, classes)")
    outputs = skip_trailing(model.outputs[0], is_identity)
    last = producer(outputs)
    activation = activation_of(last)
    if activation in PROBABILITY_ACTIVATIONS and isinstance(last, (layers.Activation, layers.Softmax)):
        return keras.Model(model.inputs[0], outputs, name=model.name)
    if activation in PROBABILITY_ACTIVATIONS and isinstance(last, layers.Dense):
        logits = layers.Dense.from_config({**last.get_config(), "activation": None, "name": LOGITS_LAYER})
        outputs = logits(producer_inputs(outputs)[0])
        logits.set_weights(last.get_weights())
    elif gives_logits(outputs):
        activation = keras.activations.softmax
    else:
        name = getattr(activation, "__name__", type(activation).__name__)
        found = f"with activation {name}" if activation else "which does not say whether it gives probabilities"
        raise UserError(f"{path} ends in {last.name}, {found}; a classifier ends in a softmax or in a linear layer")
    name = PREDICTIONS_LAYER if last.name != PREDICTIONS_LAYER else f"{PREDICTIONS_LAYER}_softmax"
    return keras.Model(model.inputs[0], layers.Activation(activation, name=name)(outputs), name=model.name)


def gives_logits(tensor: keras.KerasTensor) -> bool:
    """Whether a linear layer made the tensor, or a global pooling of something that is not probabilities yet."""
    reshaping = (layers.Reshape, layers.Flatten, *GLOBAL_POOLINGS)
    before = skip_trailing(tensor, lambda operation: isinstance(operation, reshaping) or is_identity(operation))
    activation = activation_of(producer(before))
    pooled = isinstance(producer(tensor), GLOBAL_POOLINGS) and isinstance(producer(before), layers.Layer)
    return activation is keras.activations.linear or (pooled and activation not in PROBABILITY_ACTIVATIONS)


def activation_of(operation: Any) -> Callable[..., Any] | None:
    """The activation function of a layer, or None for an operation without one."""
    return keras.activations.softmax if isinstance(operation, layers.Softmax) else getattr(operation, "activation", None)


def skip_trailing(tensor: keras.KerasTensor, passes: Callable[[Any], bool]) -> keras.KerasTensor:
    """Goes back from a tensor as long as `passes(operation)` is true for what made it."""
    while passes(producer(tensor)):
        tensor = producer_inputs(tensor)[0]
    return tensor
