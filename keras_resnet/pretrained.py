"""Builds the network that published weights are for: of the Hugging Face Hub, of a folder, or of this package."""

import os
from collections.abc import Callable
from typing import Any

import keras

from keras_resnet.constructors import constructor
from keras_resnet.errors import UserError, comma_join
from keras_resnet.hub.names import EXAMPLE
from keras_resnet.hub.repository import CONFIG, Repository, find_repository
from keras_resnet.info import recorded_sizes
from keras_resnet.models.layers import channel_axis
from keras_resnet.models.naming import LOGITS_LAYER
from keras_resnet.models.variants import FAMILIES, VARIANTS, VARIATIONS
from keras_resnet.weights import architectures
from keras_resnet.weights.inner_network import find_network
from keras_resnet.weights.loading import load_weights
from keras_resnet.weights.matching import Tensors, translate
from keras_resnet.weights.pretrained.entries import PretrainedWeights
from keras_resnet.weights.pretrained.lookup import is_name, list_pretrained
from keras_resnet.weights.readers import read
from keras_resnet.weights.stored_tensors import SizeLimits

Shape = tuple[int | None, int | None, int | None]
VALID = (
    f"a repository such as {EXAMPLE}, a folder with a {CONFIG} of timm or transformers, or one of "
    "keras_resnet.list_pretrained(), such as ResNet20V2/digits"
)
OPTIONS = ("stochastic_depth", "zero_init_residual", "classifier_dropout", "output_stride", "input_tensor")


def from_pretrained(
    path_or_name: str | os.PathLike[str],
    *,
    include_top: bool = True,
    classes: int | None = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classifier_activation: str | Callable | None = "softmax",
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Builds the network that trained weights are for, and loads them: `from_pretrained("hf://timm/resnet50d.ra2_in1k")`.

    Like those of the constructors, the network reads normalized images: `preprocessing_for(model)` tells how to prepare them,
    and `save_classifier` makes a classifier of raw pixels of it. Nothing that the repository has is ever executed.

    Args:
        path_or_name: "hf://owner/name" or "hf://owner/name@revision", a repository of the Hugging Face Hub with the config.json
            of timm or of transformers' ResNet and Bit; a folder laid out like one; or a network and weights of this package,
            such as "ResNet20V2/digits".
        include_top: whether the pooling and the classifier are part of the network.
        classes: number of classes; None for those of the weights. With another number than theirs, or without any of theirs,
            the classifier starts from random weights.
        input_shape: (height, width, channels), the first two may be None. By default that of the weights' images with the top,
            and of any height and width without. For another number of channels than theirs, the first kernel is adapted, see
            `load_weights`.
        pooling: without the top, what follows the last feature map: None, "avg" or "max".
        classifier_activation: activation of the top; None gives the logits.
        name: name of the model; None for the network's.
        **options: further arguments of the constructors that change no weights: stochastic_depth, zero_init_residual,
            classifier_dropout, output_stride, input_tensor.

    Returns:
        A functional `keras.Model`.

    Raises:
        UserError: if there is no such repository, it cannot be fetched, config.json describes another network than the weights
            are for, or one that this zoo does not have, or there is no such option.
    """
    if not isinstance(path_or_name, (str, os.PathLike)):
        raise UserError(f"weights are {path_or_name!r}; they are {VALID}")
    if others := sorted(options.keys() & {"weights", "width_multiplier", *VARIATIONS}):
        raise UserError(f"from_pretrained builds the network of the weights: leave out {comma_join(others)}")
    if unknown := sorted(options.keys() - set(OPTIONS)):
        raise UserError(f"from_pretrained has no option {comma_join(unknown)}; its further options are {comma_join(OPTIONS)}")
    arguments = {"include_top": include_top, "pooling": pooling, "classifier_activation": classifier_activation, **options}
    if name is not None:
        arguments["name"] = name
    if is_name(path_or_name) and "/" in str(path_or_name):
        return of_this_package(str(path_or_name), classes, input_shape, arguments)
    repository = find_repository(path_or_name)
    if repository is None:
        if os.path.exists(path_or_name):
            raise UserError(
                f"{path_or_name} has no {CONFIG} of timm or transformers, which says of which network it is: choose the "
                "network, and give the path of the weights to its constructor, as in keras_resnet.ResNet50V1_5(weights=...)"
            )
        raise UserError(f"{path_or_name} is not known: it is {VALID}")
    return of_repository(repository, classes, input_shape, arguments)


def of_this_package(full_name: str, classes: int | None, input_shape: Shape | None, arguments: dict[str, Any]) -> keras.Model:
    """Builds a network with trained weights that come with this package."""
    entry: PretrainedWeights = next(entry for entry in list_pretrained() if entry.full_name == full_name)
    if not arguments["include_top"] or classes in (None, len(entry.class_names)):
        return constructor(entry.model)(weights=entry.name, classes=classes, input_shape=input_shape, **arguments)
    model = constructor(entry.model)(
        classes=classes, input_shape=input_shape or ordered(*entry.preprocessing.shape), **arguments
    )
    return load_weights(model, entry.full_name, skip_head=True)


def of_repository(
    repository: Repository, classes: int | None, input_shape: Shape | None, arguments: dict[str, Any]
) -> keras.Model:
    """Builds the network that config.json describes, with the weights beside it."""
    network = repository.network
    model_name = architectures.model_of_repository(repository)
    include_top = arguments["include_top"]
    if include_top and classes is None and not network.classes:
        raise UserError(f"{repository.name} has no classifier: pass include_top=False, or the number of classes of a new one")
    if input_shape is None and arguments.get("input_tensor") is None:
        channels = network.preprocessing.channels if network.preprocessing else 3
        sides = network.preprocessing.shape[:2] if network.preprocessing and include_top else (None, None)
        input_shape = ordered(*sides, channels)
    _ = repository.license  # a wrong one is refused before anything is built
    skip_head = not include_top or classes not in (None, network.classes)
    if not skip_head:
        check_classes(repository)
    classes = (network.classes or None) if classes is None else classes
    model = constructor(model_name)(classes=classes, input_shape=input_shape, **arguments)
    try:
        return load_weights(model, repository.name, skip_head=skip_head, adapt_channels=True)
    except UserError as error:
        said = f"{network.architecture} ({model_name}) with {network.classes} classes"
        names = networks_of_size(repository)
        found = f"those of {comma_join(names, 3)}" if names else "others"
        raise UserError(f"{repository.name}: its {CONFIG} says {said}, and its weights are {found}: {error}") from error


def check_classes(repository: Repository) -> None:
    """Raises a `UserError` if config.json claims another number of classes than the classifier of the weights has.

    It comes before the network is built, which a small file may claim to be of gigabytes. No tensor is read.
    """
    path, classes = os.fspath(repository.weights()), repository.network.classes
    try:
        shapes = read_shapes(path)
    except UserError:
        return  # `load_weights` says it
    head = head_shape(shapes)
    if head is None or head[1] != classes:
        found = "no classifier of one dense layer" if head is None else f"a classifier of {head[1]:,}"
        raise UserError(f"{repository.name}: its {CONFIG} says {classes:,} classes, and {path} has {found}")


def networks_of_size(repository: Repository) -> list[str]:
    """The named networks that have as many weights before the classifier as the repository's file; [] for a file without one.

    For messages: no tensor is read, and networks of one size are told apart elsewhere.
    """
    path = os.fspath(repository.weights())
    try:
        shapes = read_shapes(path)
    except UserError:
        return []
    dense = head_shape(shapes)
    if dense is None:
        return []
    body = sum(tensor.size for (layer, _), tensor in shapes.items() if layer != LOGITS_LAYER)
    head = {name: (dense[0] + 1) * FAMILIES[row.family].classes for name, row in VARIANTS.items()}
    return [name for name, size in recorded_sizes().items() if name in head and size.total - head[name] == body]


def read_shapes(path: str) -> Tensors:
    """The tensors of a file by our names, none of them with its values."""
    tensors = read(path, SizeLimits(tensor=0))
    checkpoint_format, place = find_network(tensors, path)
    return translate(tensors, checkpoint_format, place)[0]


def head_shape(tensors: Tensors) -> tuple[int, int] | None:
    """(features, classes) of the classifier; None where it is not one dense layer."""
    kernel = tensors.get((LOGITS_LAYER, "kernel"))
    if kernel is None or kernel.ndim != 2:
        return None
    features, classes = kernel.shape
    return features, classes


def ordered(height: int | None, width: int | None, channels: int) -> Shape:
    """An `input_shape` in the order of axes that Keras is set to."""
    return (height, width, channels) if channel_axis() == -1 else (channels, height, width)
