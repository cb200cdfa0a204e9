"""Arguments of a constructor that trained weights decide: what they are by default, and which others fit."""

from collections.abc import Mapping
from typing import Any

from keras_resnet.errors import UserError, comma_join
from keras_resnet.models.variants import get_variant, with_overrides

from .entries import PretrainedWeights

Shape = tuple[int | None, int | None, int | None]


def check_arguments(entry: PretrainedWeights, *, channels: int | None, classes: int | None) -> None:
    """Raises a `UserError` for a network that reads other images than the weights, or has other classes.

    channels: of the images that the network reads; None for those of the weights. classes: None likewise, and without a top.
    """
    height, width, expected = entry.preprocessing.shape
    if channels not in (None, expected):
        raise UserError(
            f"the weights {entry.full_name} are for images of {height}x{width}x{expected}, and the network reads {channels} "
            f"channels: build it with input_shape=(None, None, {expected})"
        )
    if classes not in (None, len(entry.class_names)):
        raise UserError(
            f"the weights {entry.full_name} have {len(entry.class_names)} classes, and the network has {classes}: for all but "
            f"its classifier, load_weights({entry.model}(classes={classes}, input_shape=(None, None, {expected})), "
            f"{entry.name!r}, skip_head=True), or --skip_head of train"
        )


def check_unvaried(entry: PretrainedWeights, variations: Mapping[str, str | None], width_multiplier: float) -> None:
    """Raises a `UserError` for a network that is not the named one, which the arguments make another.

    variations: see `variants.VARIATIONS`. What a constructor takes besides these changes no weights, such as output_stride.
    """
    row = get_variant(entry.model)
    varied: dict[str, Any] = {}
    if with_overrides(row, **variations) != row:
        varied.update(variations)
    if width_multiplier != 1:
        varied["width_multiplier"] = width_multiplier
    if given := comma_join(f"{name}={value!r}" for name, value in varied.items() if value is not None):
        raise UserError(f"the weights {entry.full_name} are for {entry.model} as it is: leave out {given}")


def fitting_shape(entry: PretrainedWeights, given: Shape | None, include_top: bool, channel_axis: int) -> Shape:
    """The `input_shape` of a network with the weights: the given one, or by default that of the images they were trained on.

    channel_axis: of `input_shape`, 2 or 0.

    Raises:
        UserError: if the given one does not fit. Without the top the images may be of any size.
    """
    height, width, channels = entry.preprocessing.shape
    if not include_top:
        height = width = None
    fitting = (height, width, channels) if channel_axis == 2 else (channels, height, width)
    if given is None:
        return fitting
    if not isinstance(given, (tuple, list)) or len(given) != 3:  # the builder says what is wrong with it
        return given
    pairs = [(side, fits) for axis, (side, fits) in enumerate(zip(given, fitting, strict=True)) if side or axis == channel_axis]
    if any(side != fits and fits is not None for side, fits in pairs):
        advice = "leave it out, or take include_top=False for features of images of any size" if include_top else "leave it out"
        raise UserError(f"input_shape is {tuple(given)}, and the weights {entry.full_name} are for {fitting}: {advice}")
    return given
