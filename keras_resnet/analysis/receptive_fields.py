"""Which part of the image each unit can see, by its layers, and which part it does see, by gradients."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from keras_resnet import _keras_internals
from keras_resnet.errors import UserError

from .autodiff import Watch, differentiate, to_numpy
from .batch import check_images
from .figures import draw_units, new_figure
from .forward import Forward
from .network import Network, Unit, find_network
from .results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TWO_SIGMA = 0.9545  # of a normal distribution; what is below 1 minus that of the maximum is not counted (Luo et al. 2016)


@dataclasses.dataclass(frozen=True)
class Window:
    """The pixels that the first position of a feature map depends on, from `first` up to, not including, `end`.

    Attributes:
        first, end: along one side, in pixels of the image, whose first is 0; negative in the padding.
        stride: pixels of the image from one position to the next.
    """

    first: int = 0
    end: int = 1
    stride: int = 1

    def through(self, kernel: int, stride: int, dilation: int, padding: int) -> "Window":
        """After a layer that reads `kernel` positions, `dilation` apart, with so much padding before the first."""
        first = self.first - padding * self.stride
        end = self.end + (dilation * (kernel - 1) - padding) * self.stride
        return Window(first, end, self.stride * stride)


@dataclasses.dataclass(frozen=True)
class ReceptiveField(Result):
    """What `receptive_field` found, along one side of the image; the other has the same. One number per unit, in order.

    Attributes:
        units: their names, such as "stage1_unit1".
        sizes: pixels that a position of the unit's output can depend on.
        strides: pixels from one position to the next.
        offsets: the pixel in the middle of the first position's field, from 0; a half where it lies between two.
        image_side: height or width of the images, the smaller, where it is fixed.
    """

    units: tuple[str, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offsets: tuple[float, ...]
    image_side: int | None

    def plot(self) -> "Figure":
        """Draws the sizes, and the side of the images for comparison."""
        lines: dict[str, Any] = {"receptive field": self.sizes}
        if self.image_side:
            lines["side of the image"] = (self.image_side,) * len(self.units)
        return draw_units(self.units, {"receptive field in pixels": lines})


def receptive_field(model: keras.Model) -> ReceptiveField:
    """Computes the receptive field of each unit from kernels, strides, dilations and padding, as Araujo et al. 2019, Distill.

    Channel attention does not count, though its numbers depend on the whole image.

    Raises:
        UserError: if the model is not a network of this zoo, or a layer changes the shape in a way that is not known.
    """
    network = find_network(model)
    windows = windows_of(network)
    own = [windows[id(unit.leaving)] for unit in network.units]
    sides = spatial(network, network.inner.inputs[0].shape)
    return ReceptiveField(
        tuple(unit.name for unit in network.units),
        sizes=tuple(window.end - window.first for window in own),
        strides=tuple(window.stride for window in own),
        offsets=tuple((window.first + window.end - 1) / 2 for window in own),
        image_side=None if None in sides else min(cast(tuple[int, int], sides)),
    )


def windows_of(network: Network) -> dict[int, Window]:
    """The windows of all feature maps, by the `id` of their Keras tensor, seen from the network's input."""
    windows = {id(network.inner.inputs[0]): Window()}
    for call in _keras_internals.graph_calls(network.inner):
        before = [windows[id(tensor)] for tensor in call.input_tensors if id(tensor) in windows]
        if not before or len(call.outputs[0].shape) != 4 or isinstance(call.operation, keras.layers.GlobalAveragePooling2D):
            continue  # after the feature maps, or in channel attention
        merged = Window(min(w.first for w in before), max(w.end for w in before), max(w.stride for w in before))
        for tensor in call.outputs:
            windows[id(tensor)] = after_layer(network, call.operation, call.input_tensors[0], tensor, merged)
    return windows


def after_layer(network: Network, layer: Any, read: Any, made: Any, window: Window) -> Window:
    """The window of what a layer makes."""
    sides = spatial(network, read.shape)
    if isinstance(layer, keras.layers.ZeroPadding2D):
        along_rows = (layer.data_format == "channels_last") == network.channels_last  # if not, it pads channels
        return window.through(1, 1, 1, layer.padding[0][0] if along_rows else 0)
    if type(layer).__name__ == "Pad" and hasattr(layer, "pad_width"):  # of `models.layers.reflect`
        return window.through(1, 1, 1, layer.pad_width[1 if network.channels_last else 2][0])
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if kernel is None:
        if sides != spatial(network, made.shape):
            raise UserError(f"{layer.name} of {network.name} is a {type(layer).__name__}, whose receptive field is not known")
        return window
    settings = (kernel, layer.strides, getattr(layer, "dilation_rate", (1, 1)))
    if any(len(set(values)) > 1 for values in settings):
        raise UserError(f"{layer.name} of {network.name} does not do the same along rows and columns")
    kernel, stride, dilation = (values[0] for values in settings)
    return window.through(
        kernel, stride, dilation, same_padding(kernel, stride, dilation, sides[0]) * (layer.padding == "same")
    )


def same_padding(kernel: int, stride: int, dilation: int, side: int | None) -> int:
    """How much Keras' "same" pads before the first position; a side that is not fixed counts as divisible by the stride."""
    outputs = math.ceil((side or stride) / stride)
    total = (outputs - 1) * stride + dilation * (kernel - 1) + 1 - (side or stride)
    return max(total, 0) // 2


def spatial(network: Network, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Height and width of a shape of rank 4."""
    return tuple(shape[1:3] if network.channels_last else shape[2:4])


@dataclasses.dataclass(frozen=True, eq=False)
class EffectiveReceptiveField(Result):
    """What `effective_receptive_field` found.

    Attributes:
        unit: the name of the unit whose middle position was followed back.
        weights: how much each pixel counts, (H, W): the mean of the gradient's size over images and channels; the largest is 1.
        size: the side of a square of as many pixels as count for more than 1 - 95.45 % of the largest.
        theoretical_size: the side of the square of all pixels that could count, see `receptive_field`.
    """

    unit: str
    weights: np.ndarray
    size: float
    theoretical_size: int

    def plot(self) -> "Figure":
        """Draws the weights of the pixels."""
        figure = new_figure(1)
        axes = figure.subplots()
        drawn = axes.imshow(np.sqrt(self.weights), cmap="gray")
        sides = [f"{side:.0f}x{side:.0f}" for side in (self.size, self.theoretical_size)]
        axes.set(title=f"{self.unit}: {sides[0]} of {sides[1]} pixels", xticks=[], yticks=[])
        figure.colorbar(drawn, label="root of the weight")
        return figure


def effective_receptive_field(model: keras.Model, images: Any, unit: str | None = None) -> EffectiveReceptiveField:
    """Measures which pixels the middle position of a unit's output depends on, as Luo et al. 2016, arXiv:1701.04128.

    That is the gradient of the sum of its channels by the images, after the preprocessing that the model may begin with, with
    the moving statistics. The model stays as it is.

    Args:
        model: a network of this zoo, or a classifier with one inside.
        images: a batch as the model takes it, (N, H, W, C).
        unit: its name, such as "stage2_unit1"; by default the last.

    Raises:
        UserError: if the model is not such a network, has no such unit, or the images do not fit it.
    """
    network = find_network(model)
    chosen = network.unit(unit)
    images = check_images(network, images)
    found = differentiate(lambda watch: middle_of(network, chosen, images, watch))
    gradient = found.of_values["images"]
    gradient = np.zeros(found.values["images"].shape) if gradient is None else np.abs(to_numpy(gradient).astype(np.float64))
    weights = gradient.mean(axis=(0, -1 if network.channels_last else 1))
    weights /= weights.max() or 1.0
    size = math.sqrt(np.count_nonzero(weights > 1 - TWO_SIGMA))
    window = windows_of(network)[id(chosen.leaving)]
    return EffectiveReceptiveField(chosen.name, weights, size, window.end - window.first)


def middle_of(network: Network, unit: Unit, images: np.ndarray, watch: Watch) -> Any:
    """The sum of the channels at the middle of a unit's output, over all images; shows the network's input as "images"."""
    sums: list[Any] = []

    def leave(value: Any) -> Any:
        height, width = cast(tuple[int, int], spatial(network, value.shape))
        at = (slice(None), height // 2, width // 2) if network.channels_last else (..., height // 2, width // 2)
        sums.append(keras.ops.sum(value[at]))
        return value

    taps = {id(network.inner.inputs[0]): lambda value: watch("images", value), id(unit.leaving): leave}
    Forward(network, taps=taps)(images)
    return sums[0]
