"""The classifier that is exported: a file of ours, or any Keras network with what its user says of it."""

import collections
import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np
from keras import layers

from keras_resnet import saving
from keras_resnet.classifier import with_preprocessing
from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models.layers import LOGITS_LAYER
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.weights.checkpoint_formats import CAFFE_MEAN, HALF, IMAGENET_MEAN, IMAGENET_STD

from .fold.layers import is_dropout

BYTE = 1 / 255
NORMALIZATIONS = {  # the modes of `keras.applications.imagenet_utils.preprocess_input`, and none: pixels from 0 to 255
    "none": ((0.0,) * 3, (BYTE,) * 3, "rgb"),
    "caffe": (CAFFE_MEAN, (BYTE,) * 3, "bgr"),
    "tf": (HALF, HALF, "rgb"),
    "torch": (IMAGENET_MEAN, IMAGENET_STD, "rgb"),
}
PREDICTIONS = "predictions"
GLOBAL_POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
ACTIVATIONS = (keras.activations.softmax, keras.activations.sigmoid)


@dataclasses.dataclass(frozen=True)
class SourceModel:
    """model: in the layers of its file, on raw pixels from 0 to 255, (N, H, W, C), its last layer an activation."""

    model: keras.Model
    classifier: ClassifierMetadata


def load_source_model(path, normalization=None, labels=None, dataset="", image_size=None):
    """Reads a `.keras` file.

    Args:
        path: of a file that `keras-resnet train` or `import` wrote, or of any Keras classifier that is a functional or
            Sequential model.
        normalization: a key of `NORMALIZATIONS`: how the network of somebody else wants its pixels.
        labels: its classes' names. dataset: the set whose they are.
        image_size: side in pixels, for one that takes images of any size.
    """
    record = ClassifierMetadata.read_from(path) if Path(path).is_file() else None
    model = saving.load_as_saved(path)
    bad = [w.path for w in model.weights if not np.isfinite(np.asarray(w, np.float32)).all()]
    if bad:
        raise UserError(f"{path} has weights that are no numbers, in {comma_join(bad[:3])}")
    if record is None:
        model, record = wrap_foreign_model(path, model, normalization, labels, dataset, image_size)
    elif normalization or image_size or labels not in (None, record.labels):
        raise UserError(f"{path} knows its own preprocessing, labels; --normalization, --image_size, --labels are for others'")
    if model.output_shape[-1] != len(record.labels):
        raise UserError(f"{path} has {model.output_shape[-1]} outputs and {len(record.labels)} labels")
    return SourceModel(model, record)


def wrap_foreign_model(path, model, normalization, labels, dataset, image_size):
    """Somebody else's network and what its user says of it, as a model on raw pixels and its record."""
    if normalization not in NORMALIZATIONS:
        given = f"normalization {normalization!r} is unknown" if normalization else f"{path} is none of ours"
        raise UserError(f"{given}: --normalization says how it wants its pixels, {comma_join(NORMALIZATIONS)}")
    loaded, model = model, inline_submodels(path, model)
    (height, width, channels) = image_shape(path, model, image_size)
    if labels is None:
        raise UserError(f"{path} does not say what its classes are: give --labels=FILE, or --dataset")
    mean, std, order = NORMALIZATIONS[normalization]
    preprocessing = Preprocessing(height, width, channels, mean[:channels], std[:channels], channel_order=order)
    model = check_equivalent(path, with_preprocessing(with_softmax_output(path, model), preprocessing), loaded, preprocessing)
    return model, ClassifierMetadata(
        model.name, dataset, tuple(labels), dataclasses.replace(preprocessing, channel_order="rgb")
    )


def check_equivalent(path, model, loaded, preprocessing):
    """The model on raw pixels, if it gives on some of them what the one of the file gives on the same prepared."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, *preprocessing.shape)).astype("float32")
    given = loaded(preprocessing.normalize(pixels), training=False)
    expected = keras.ops.convert_to_numpy(keras.ops.cast(given, "float32"))
    if np.any(expected < 0) or np.any(expected > 1):
        expected = keras.ops.convert_to_numpy(keras.ops.softmax(expected))
    found = keras.ops.convert_to_numpy(model(pixels, training=False))
    precise = all(layer.compute_dtype == "float32" for layer in loaded._flatten_layers())
    if not np.abs(found - expected).max() < (1e-3 if precise else 0.1):
        raise UserError(f"{path} has something in it that cannot be rewritten to take raw pixels: its copy answers otherwise")
    return model


def inline_submodels(path, model):
    """A functional copy in float32, with the layers of models inside of it, as transfer learning makes them, in their place."""
    if isinstance(model, keras.Sequential) and not model.built:
        raise UserError(f"{path} is a Sequential model that was never built: it has no input shape")
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    sides = [len(keras.tree.flatten(getattr(model, side, None) or [])) for side in ("inputs", "outputs")]
    if sides != [1, 1] or not hasattr(model, "_nodes_by_depth"):
        raise UserError(f"{path} has {sides[0]} inputs and {sides[1]} outputs; a functional model with one of each is exported")

    quantized = [layer.name for layer in model._flatten_layers() if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise UserError(
            f"{path} is quantised, in {comma_join(quantized[:3])}; networks are exported, and quantised, from floats"
        )
    copies, names = {}, collections.Counter()

    def copy(operation):
        if not isinstance(operation, keras.Layer):
            if operation not in copies:
                copies[operation], operation.name = operation, unique(operation.name)
            return operation
        if operation not in copies:
            config = {**operation.get_config(), "dtype": "float32", "name": unique(operation.name)}
            copies[operation] = type(operation).from_config(config)
        return copies[operation]

    def unique(name):
        """With a number where a layer of another model of those that are put together has the name."""
        names[name] += 1
        return name if names[name] == 1 else unique(f"{name}_{names[name] - 1}")

    def call(layer, *arguments, **keywords):
        inner = getattr(layer, "_functional", None) or layer
        if hasattr(inner, "_nodes_by_depth"):
            return inner._run_through_graph(arguments[0], operation_fn=lambda operation: functools.partial(call, operation))
        return copy(layer)(*arguments, **keywords)

    flat = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    for layer, its_copy in copies.items():
        if isinstance(layer, keras.Layer):
            saving.copy_weights(layer, its_copy)
    return flat


def image_shape(path, model, image_size):
    shape = model.input_shape
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise UserError(f"{path} takes {shape}; images are (N, height, width, channels) with 1 or 3 channels")
    if None in shape[1:3] and not image_size:
        raise UserError(f"{path} takes images of any size; --image_size says for which its files are to be made")
    sides = [side or image_size for side in shape[1:3]]
    if image_size and sides != [image_size] * 2:
        raise UserError(f"{path} takes images of {shape[1]}x{shape[2]}, not of {image_size}x{image_size}")
    return (*sides, shape[-1])


def with_softmax_output(path, model):
    """The same with its activation as a layer of its own at the end; a softmax, where it ends in logits."""
    if len(model.output_shape) != 2:
        raise UserError(f"{path} gives {model.output_shape}; a classifier gives (N, classes)")
    outputs, last, inputs = skip_trailing(model.outputs[0], is_dropout)
    activation = activation_of(last)
    if activation in ACTIVATIONS and isinstance(last, (layers.Activation, layers.Softmax)):
        return keras.Model(model.inputs[0], outputs, name=model.name)
    if activation in ACTIVATIONS and isinstance(last, layers.Dense):
        logits = layers.Dense.from_config({**last.get_config(), "activation": None, "name": LOGITS_LAYER})
        outputs = logits(inputs[0])
        logits.set_weights(last.get_weights())
    elif gives_logits(outputs):
        activation = keras.activations.softmax
    else:
        name = getattr(activation, "__name__", type(activation).__name__)
        found = f"with activation {name}" if activation else "which does not say whether it gives probabilities"
        raise UserError(f"{path} ends in {last.name}, {found}; a classifier ends in a softmax, or in a linear layer")
    name = PREDICTIONS if last.name != PREDICTIONS else f"{PREDICTIONS}_softmax"
    return keras.Model(model.inputs[0], layers.Activation(activation, name=name)(outputs), name=model.name)


def gives_logits(tensor):
    """Whether a linear layer made it, or an average over the image of what is not probabilities yet."""
    shapes = (layers.Reshape, layers.Flatten, *GLOBAL_POOLINGS)
    _, maker, _ = skip_trailing(tensor, lambda operation: isinstance(operation, shapes) or is_dropout(operation))
    averaged = isinstance(tensor._keras_history.operation, GLOBAL_POOLINGS) and isinstance(maker, layers.Layer)
    activation = activation_of(maker)
    return activation is keras.activations.linear or (averaged and activation not in ACTIVATIONS)


def activation_of(operation):
    return keras.activations.softmax if isinstance(operation, layers.Softmax) else getattr(operation, "activation", None)


def skip_trailing(tensor, passes):
    """What a tensor was before all that `passes` from the end on: that tensor, who made it, and of what."""
    while True:
        operation, index, _ = tensor._keras_history
        inputs = operation._inbound_nodes[index].input_tensors
        if not passes(operation):
            return tensor, operation, inputs
        tensor = inputs[0]
