"""Stem, stages, head: a row of the table becomes a functional `keras.Model`."""

import contextlib
import numbers
from collections.abc import Callable, Iterator
from typing import Any, cast

import keras
from keras import KerasTensor

from keras_resnet import _keras_internals
from keras_resnet.errors import UserError, check_at_most, comma_join
from keras_resnet.recursion import raise_recursion_limit

from . import layers, naming, shortcuts, variants
from .antialiasing import get_antialiasing
from .attention import get_attention
from .normalizations import get_normalization
from .options import ModelOptions
from .orders import operations
from .residual_units import ResidualUnit
from .stems import STEMS
from .unit_specs import UnitRun, output_strides, stage_widths, unit_runs
from .variants import Variant

MAX_WIDTH = 8192  # of a stage's units: 16 times ResNet-50's, which has 6 billion parameters then
LAYERS_PER_UNIT = 24  # at most: a bottleneck with a gate and attention
MAX_CLASSES = 10**7
POOLINGS = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}


AddUnits = Callable[[KerasTensor, ResidualUnit, list[UnitRun]], KerasTensor]


def add_all_units(x: KerasTensor, unit: ResidualUnit, runs: list[UnitRun]) -> KerasTensor:
    """Adds every unit of every run to the skip path."""
    for run in runs:
        for spec in run:
            x = unit(x, **spec.arguments())
    return x


def build(
    variant: Variant,
    options: ModelOptions,
    *,
    include_top: bool,
    input_tensor: KerasTensor | None,
    input_shape: tuple[int | None, ...] | None,
    pooling: str | None,
    classes: int,
    classifier_activation: Any,
    name: str,
    add_units: AddUnits = add_all_units,
) -> keras.Model:
    """Builds the network of a row of the table with `options`; the other arguments are those of `keras.applications`.

    add_units: puts the units between stem and head; see `training/network/condensed.py`.

    Raises:
        UserError: if the arguments do not fit together or are out of range.
    """
    check_variant(variant, options)
    check_top(pooling, classes, classifier_activation)
    layers.check_data_format()
    inputs, x = resolve_input(input_tensor, input_shape, variants.FAMILIES[variant.family].image_size if include_top else None)
    with deferred_variable_creation():
        x = features(x, variant, options, add_units)
        if include_top:
            x = head(x, classes, classifier_activation, options.classifier_dropout)
        elif pooling:
            x = POOLINGS[pooling](name=naming.HEAD_POOL)(x)
    raise_recursion_limit(LAYERS_PER_UNIT * sum(variants.stage_depths(variant)))
    return keras.Model(inputs, x, name=name)


@contextlib.contextmanager
def deferred_variable_creation() -> Iterator[None]:
    """Creates the variables of the layers built inside at the end, all at once and outside of their layers' name scopes.

    TensorFlow prepares an operation anew for every new name, and that is nearly half of the time to build 1001 layers.
    """
    try:
        with keras.StatelessScope():
            yield
    except BaseException:
        # Keras would try again to create those that are left at the end of the next network, and fail there.
        _keras_internals.forget_uninitialized_variables()
        raise


def check_variant(variant: Variant, options: ModelOptions) -> None:
    """Raises a `UserError` for a variant and options that do not fit together, before anything is built."""
    plain = shortcuts.get_shortcut(variant.shortcut) is shortcuts.no_shortcut
    variants.stage_depths(variant)
    get_antialiasing(variant.antialias), get_attention(variant.attention), get_normalization(variant.normalization)
    if not STEMS[variant.stem].ends_in_activation and variant.unit != "full_preactivation":
        raise UserError(f"the {variant.stem} stem has units of order full_preactivation only, not {variant.unit}")
    if plain and options.stochastic_depth:
        raise UserError("stochastic_depth needs a shortcut: without one, a branch left out would cut the network")
    if plain and options.zero_init_residual:
        raise UserError("zero_init_residual needs a shortcut: without one, the network would be zero")
    if variant.unit == "relu_before_addition" and options.zero_init_residual:
        raise UserError("zero_init_residual does not go with relu_before_addition: a ReLU at zero passes no gradient")
    if (widest := stage_widths(variant, options)[-1]) > MAX_WIDTH:
        raise UserError(
            f"width_multiplier is {options.width_multiplier}, which makes the last stage {widest} wide; at most {MAX_WIDTH} is"
        )
    valid = output_strides(variant)
    if options.output_stride not in (None, *valid):
        raise UserError(f"output_stride is {options.output_stride!r}; for this network it is one of {comma_join(valid)}")


def check_top(pooling: str | None, classes: int, activation: Any) -> None:
    """Raises a `UserError` for a head that cannot be built."""
    if pooling not in (None, *POOLINGS):
        raise UserError(f"unknown pooling {pooling!r}; it is None or one of {comma_join(POOLINGS)}")
    if not isinstance(classes, numbers.Integral) or classes is True or classes < 1:
        raise UserError(f"classes is {classes!r}; it is a whole number from 1 up")
    check_at_most("classes", int(classes), MAX_CLASSES)
    try:
        keras.activations.get(activation)
    except ValueError as error:
        raise UserError(f"unknown classifier_activation {activation!r}; it is the name of a Keras activation") from error


def resolve_input(
    input_tensor: KerasTensor | None, input_shape: tuple[int | None, ...] | None, default_size: int | None
) -> tuple[KerasTensor | list[KerasTensor], KerasTensor]:
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
        input_shape = (default_size, default_size, 3) if channels_last else (3, default_size, default_size)
    sides = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else ()
    valid = all(side is None or (isinstance(side, numbers.Integral) and side > 0) for side in sides)
    if len(sides) != 3 or not valid or sides[-1 if channels_last else 0] is None:
        order = "(height, width, channels)" if channels_last else "(channels, height, width)"
        raise UserError(f"input_shape is {input_shape}; it is {order}, where height and width may be None")
    inputs = cast(KerasTensor, keras.Input(input_shape))
    return inputs, inputs


def features(x: KerasTensor, variant: Variant, options: ModelOptions, add_units: AddUnits) -> KerasTensor:
    """Builds all but the head: (N, H, W, C) -> (N, H/4, W/4, C') for CIFAR, (N, H/32, W/32, C') for ImageNet."""
    stem, normalization = STEMS[variant.stem], get_normalization(variant.normalization)
    unit = ResidualUnit(
        order=variant.unit,
        block=variant.block,
        stride_on=1 if variant.block == "bottleneck" and variant.stride_on == "3x3" else 0,
        shortcut=shortcuts.get_shortcut(variant.shortcut),
        normalization=normalization,
        antialias=get_antialiasing(variant.antialias),
        attention=get_attention(variant.attention),
        projection=variant.projection,
        groups=variant.groups,
        group_width=variant.group_width,
        padding=variant.padding,
        use_bias=stem.use_bias,
        zero_init=options.zero_init_residual,
    )
    x = stem.build(x, stage_widths(variant, options)[0], normalization, unit.antialias)
    x = add_units(x, unit, unit_runs(variant, options))
    # "an extra activation right after its element-wise addition": the one that a further unit would have begun with.
    for kind, _ in operations(variant.unit, variant.block)[0]:
        x = normalization.norm(x, name=naming.HEAD_NORM) if kind == "norm" else layers.relu(x, name=naming.HEAD_RELU)
    return x


def head(x: KerasTensor, classes: int, activation: Any, dropout_rate: float) -> KerasTensor:
    """Global average, logits in `head_dense`, then the activation in full precision: (N, H, W, C) -> (N, classes)."""
    x = POOLINGS["avg"](name=naming.HEAD_POOL)(x)
    if dropout_rate:
        x = layers.dropout(x, dropout_rate, name=naming.HEAD_DROPOUT)
    x = layers.dense(x, classes, name=naming.LOGITS_LAYER)
    if activation is None:
        return x
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Activation(activation, dtype=dtype, name=naming.PREDICTIONS_LAYER)(x)
