"""Stem, stages, head: a row of the table becomes a functional `keras.Model`."""

import dataclasses
import numbers
from collections.abc import Callable

import keras

from keras_resnet import layers, variants
from keras_resnet.errors import UserError, choices
from keras_resnet.layers import conv, norm, relu
from keras_resnet.recursion import allow_graph_of
from keras_resnet.shortcuts import SHORTCUTS
from keras_resnet.units import UNITS
from keras_resnet.weights import load_weights

# A pre-activation network has no stem of its own: its first activation, "right after conv1 and before splitting into two
# paths" (He et al. 2016, section 5), is the norm and the ReLU of these.


def cifar_stem(x):
    """3x3, norm, ReLU: (N, H, W, C) -> (N, H, W, 16). He et al. 2015, section 4.2."""
    x = conv(x, 16, 3, name="stem_conv")
    return relu(norm(x, name="stem_norm"), name="stem_relu")


def imagenet_stem(x):
    """7x7 with stride 2, norm, ReLU, 3x3 maximum with stride 2: (N, H, W, C) -> (N, H/4, W/4, 64). He et al. 2015, Table 1."""
    x = conv(x, 64, 7, stride=2, name="stem_conv")
    x = relu(norm(x, name="stem_norm"), name="stem_relu")
    return layers.max_pool(x, name="stem_pool")


@dataclasses.dataclass(frozen=True)
class Family:
    """What the networks for one kind of image have in common."""

    stem: Callable
    widths: tuple
    image_size: int
    classes: int


FAMILIES = {
    "cifar": Family(cifar_stem, (16, 32, 64), image_size=32, classes=10),
    "wide": Family(cifar_stem, (16, 32, 64), image_size=32, classes=10),
    "imagenet": Family(imagenet_stem, (64, 128, 256, 512), image_size=224, classes=1000),
}

LAYERS_PER_UNIT = 12  # at most: a bottleneck with a projection
POOLINGS = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}

DOCSTRING = """{name}: {depth} layers of {block} units, order {unit!r}, shortcut {shortcut!r}. {note}

(N, {size}, {size}, 3) -> (N, {classes}) as it stands; any height, width and number of channels on request.

Args:
    include_top: whether the pooling and the classifier are part of the network.
    weights: None for random ones, or the path of a .weights.h5 or .keras file of the same network.
    input_tensor: a Keras tensor to build on, in place of a new input.
    input_shape: (height, width, channels), the first two may be None. By default {size}x{size}x3 with the top and
        (None, None, 3) without.
    pooling: without the top, what follows the last feature map: None, "avg" or "max".
    classes: number of classes.
    classifier_activation: activation of the top; None gives the logits.
    name: name of the model.
    block: "basic" (two 3x3) or "bottleneck" (1x1, 3x3, 1x1), where the depth allows.
    unit: the order inside the unit: {units}.
    shortcut: {shortcuts}.

Returns:
    A functional `keras.Model`.

Raises:
    UserError: a `ValueError` that names the wrong value and the valid choices.
"""

NOTES = {
    ("cifar", "original"): "He et al. 2015, arXiv:1512.03385, section 4.2.",
    ("imagenet", "original"): "He et al. 2015, arXiv:1512.03385, Table 1.",
    ("wide", "full_preactivation"): "Zagoruyko & Komodakis 2016, arXiv:1605.07146, Table 1.",
    ("imagenet", "full_preactivation"): "He et al. 2016, arXiv:1603.05027, section 5 and released code.",
    ("cifar", "full_preactivation"): (
        "He et al. 2016, arXiv:1603.05027. Depths 20 to 56 and 1202 are in neither paper and follow its 110. The 9n+2\n"
        'bottleneck that Keras\' well-known example calls "ResNet56v2" is `ResNet56V2(block="bottleneck")`.'
    ),
}


def constructor(model_name):
    """The public function `keras_resnet.<model_name>`."""
    row = variants.find(model_name)
    family, default_name = FAMILIES[row.family], model_name.lower()

    def construct(
        include_top=True,
        weights=None,
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=family.classes,
        classifier_activation="softmax",
        name=default_name,
        *,
        block=None,
        unit=None,
        shortcut=None,
    ):
        variant = variants.vary(row, block=block, unit=unit, shortcut=shortcut)
        check(variant, pooling, classes, classifier_activation)
        inputs, x = entry(input_tensor, input_shape, family.image_size if include_top else None)
        x = trunk(x, variant)
        if include_top:
            x = head(x, classes, classifier_activation)
        elif pooling:
            x = POOLINGS[pooling](name="head_pool")(x)
        allow_graph_of(LAYERS_PER_UNIT * sum(variants.stage_depths(variant)))
        model = keras.Model(inputs, x, name=name)
        return model if weights is None else load_weights(model, weights)

    construct.__name__ = construct.__qualname__ = model_name
    construct.__module__ = "keras_resnet"
    construct.__doc__ = DOCSTRING.format(
        name=model_name,
        note=NOTES[row.family, row.unit],
        size=family.image_size,
        classes=family.classes,
        units=choices(map(repr, UNITS)),
        shortcuts=choices(map(repr, SHORTCUTS)),
        **{key: getattr(row, key) for key in ("depth", "block", "unit", "shortcut")},
    )
    return construct


def check(variant, pooling, classes, activation):
    """Refuses what cannot be built before anything is built."""
    if variant.unit not in UNITS:
        raise UserError(f"unknown unit {variant.unit!r}; the orders inside a unit are {choices(UNITS)}")
    if variant.shortcut not in SHORTCUTS:
        raise UserError(f"unknown shortcut {variant.shortcut!r}; the shortcuts are {choices(SHORTCUTS)}")
    if pooling not in (None, *POOLINGS):
        raise UserError(f"unknown pooling {pooling!r}; it is None or one of {choices(POOLINGS)}")
    if not isinstance(classes, numbers.Integral) or classes is True or classes < 1:
        raise UserError(f"classes is {classes!r}; it is a whole number from 1 up")
    try:
        keras.activations.get(activation)
    except ValueError as error:
        raise UserError(f"unknown classifier_activation {activation!r}; it is the name of a Keras activation") from error
    variants.stage_depths(variant)


def entry(input_tensor, input_shape, default_size):
    """The model's inputs and the tensor that the stem reads, as `keras.applications` understands its arguments."""
    if input_tensor is not None:
        if not keras.backend.is_keras_tensor(input_tensor):
            raise UserError(f"input_tensor is a {type(input_tensor).__name__}; it is a Keras tensor, such as keras.Input()")
        if len(input_tensor.shape) != 4 or layers.channels(input_tensor) is None:
            raise UserError(f"input_tensor has the shape {input_tensor.shape}; it has rank 4 and a known number of channels")
        sources = keras.utils.get_source_inputs(input_tensor)
        return sources[0] if len(sources) == 1 else sources, input_tensor  # a list of one would warn at every call
    channels_last = layers.channel_axis() == -1
    if input_shape is None:
        size = (default_size, default_size)
        input_shape = (*size, 3) if channels_last else (3, *size)
    sides = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else ()
    valid = all(side is None or (isinstance(side, numbers.Integral) and side > 0) for side in sides)
    if len(sides) != 3 or not valid or sides[-1 if channels_last else 0] is None:
        order = "(height, width, channels)" if channels_last else "(channels, height, width)"
        raise UserError(f"input_shape is {input_shape}; it is {order}, where height and width may be None")
    inputs = keras.Input(input_shape)
    return inputs, inputs


def trunk(x, variant):
    """Everything but the head: (N, H, W, C) -> (N, H/4, W/4, C') for CIFAR, (N, H/32, W/32, C') for ImageNet."""
    family, order = FAMILIES[variant.family], UNITS[variant.unit]
    unit, shortcut = getattr(order, variant.block), SHORTCUTS[variant.shortcut]
    strides_on_3x3 = variant.block == "bottleneck" and variant.strides_on == "3x3"
    x = family.stem(x)
    for stage, (width, depth) in enumerate(zip(family.widths, variants.stage_depths(variant), strict=True), start=1):
        for index in range(1, depth + 1):
            stride = 2 if stage > 1 and index == 1 else 1
            strides = (1, stride) if strides_on_3x3 else (stride, 1)
            options = {"activated": True} if order.preactivated and stage == index == 1 else {}
            x = unit(x, variant.widen * width, strides, shortcut=shortcut, name=f"stage{stage}_unit{index}", **options)
    if order.preactivated:
        x = relu(norm(x, name="head_norm"), name="head_relu")
    return x


def head(x, classes, activation):
    """Global average, logits in `head_dense`, the activation in full precision behind it: (N, H, W, C) -> (N, classes)."""
    x = POOLINGS["avg"](name="head_pool")(x)
    x = layers.dense(x, classes, name="head_dense")
    if activation is None:
        return x
    return keras.layers.Activation(activation, dtype=keras.config.dtype_policy().variable_dtype, name="predictions")(x)
