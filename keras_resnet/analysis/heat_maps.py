"""Grad-CAM: which part of an image speaks for a class. Selvaraju et al. 2017, arXiv:1610.02391."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from keras_resnet.errors import UserError, comma_join
from keras_resnet.models import naming
from keras_resnet.models.backbone import feature_layer
from keras_resnet.models.naming import UnitLayer

from .autodiff import Watch, differentiate, to_numpy
from .batch import as_array, check_images, check_labels, number_of_classes
from .figures import new_figure
from .forward import Forward
from .logits import up_to_logits
from .network import Network, find_network
from .results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DRAWN = 16  # images of a plot


@dataclasses.dataclass(frozen=True, eq=False)
class GradCam(Result):
    """What `grad_cam` found.

    Attributes:
        layer: the name of the layer whose output was weighted.
        maps: how much each pixel speaks for the class, (N, H, W), from 0 to 1; all 0 in an image where nothing does.
        classes: the number of the class, for each image.
        probabilities: that the network gives it, for each image, as the softmax of its logits.
        images: those that were passed, as (N, H, W, C).
    """

    layer: str
    maps: np.ndarray
    classes: tuple[int, ...]
    probabilities: tuple[float, ...]
    images: np.ndarray

    def plot(self, class_names: Sequence[str] | None = None) -> "Figure":
        """Draws the maps over the first images; blue is 0, red is 1."""
        drawn = min(len(self.maps), MOST_DRAWN)
        columns = min(drawn, 4)
        figure = new_figure(columns, -(-drawn // columns), 2.2, 2.4)
        for number, axes in enumerate(figure.subplots(-(-drawn // columns), columns, squeeze=False).flat):
            axes.set_axis_off()
            if number >= drawn:
                continue
            image, label = self.images[number], self.classes[number]
            low, high = float(image.min()), float(image.max())
            pixels = (image - low) / ((high - low) or 1.0)
            axes.imshow(pixels if image.shape[-1] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=1)
            axes.imshow(self.maps[number], cmap="jet", alpha=0.45, vmin=0, vmax=1)
            axes.set_title(f"{class_names[label] if class_names else label}: {self.probabilities[number]:.0%}", fontsize=9)
        return figure


def grad_cam(
    model: keras.Model, images: Any, class_index: int | Sequence[int] | None = None, layer: str | None = None
) -> GradCam:
    """Weights the channels of a layer by the mean gradient of the class's logit, and shows where their sum is above zero.

    The network runs with its moving statistics, and stays as it is.

    Args:
        model: a network of this zoo with a top, or a classifier with one inside.
        images: a batch as the model takes it, (N, H, W, C).
        class_index: the number of the class, or one for each image; by default the one that each image is taken for.
        layer: the name of a layer of the network, or of a unit; by default the last one with a feature map.

    Raises:
        UserError: if the model is not such a network, has no such layer or class, or the images do not fit it.
    """
    network = find_network(model)
    images = check_images(network, images)
    name, tensor = feature_tensor(network, layer)
    classes = number_of_classes(network)
    wanted = None if class_index is None else check_classes(network, class_index, len(images))

    def program(watch: Watch) -> Any:
        taps = {id(tensor): lambda value: watch("features", value)}
        logits = watch("logits", Forward(network, taps=taps, replaced=up_to_logits(network))(images))
        chosen = keras.ops.argmax(logits, axis=-1) if wanted is None else keras.ops.convert_to_tensor(wanted)
        return keras.ops.sum(logits * keras.ops.one_hot(chosen, classes, dtype=logits.dtype))  # images do not mix: their own

    found = differentiate(program)
    logits = to_numpy(found.values["logits"]).astype(np.float64)
    chosen = logits.argmax(axis=1) if wanted is None else wanted
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True))[np.arange(len(logits)), chosen]
    if not network.channels_last:
        images = images.transpose(0, 2, 3, 1)
    maps = heat_maps(network, found.values["features"], found.of_values["features"], images.shape[1:3])
    return GradCam(name, maps, tuple(map(int, chosen)), tuple(map(float, probabilities)), images)


def heat_maps(network: Network, features: Any, gradients: Any, size: tuple[int, int]) -> np.ndarray:
    """relu(sum over the channels of mean gradient * feature), resized and scaled to at most 1: (N, H, W)."""
    features = to_numpy(features).astype(np.float64)
    gradients = np.zeros_like(features) if gradients is None else to_numpy(gradients).astype(np.float64)
    if not network.channels_last:
        features, gradients = (array.transpose(0, 2, 3, 1) for array in (features, gradients))
    maps = np.maximum((features * gradients.mean(axis=(1, 2), keepdims=True)).sum(axis=-1), 0)
    highest = maps.max(axis=(1, 2), keepdims=True)
    maps = (maps / np.where(highest > 0, highest, 1)).astype("float32")[..., None]
    resized = to_numpy(keras.ops.image.resize(maps, size, "bilinear", data_format="channels_last"))[..., 0]
    highest = resized.max(axis=(1, 2), keepdims=True)
    return np.clip(resized / np.where(highest > 0, highest, 1), 0, 1)


def feature_tensor(network: Network, layer: str | None) -> tuple[str, keras.KerasTensor]:
    """The name and the feature map of a layer or unit, by default the last one.

    Raises:
        UserError: if there is none.
    """
    layers = {own.name: own for own in network.inner.layers}
    if layer is None:
        units = naming.units_per_stage(UnitLayer.parse(name) for name in layers)
        layer = str(feature_layer(network.inner, max(units), units).name)
    leaving = {unit.name: unit.leaving for unit in network.units}
    if layer in leaving:
        return layer, leaving[layer]
    if layer not in layers:
        raise UserError(f"{network.name} has no layer {layer!r}; its layers are {comma_join(layers, 6)}")
    tensor = cast(keras.KerasTensor, layers[layer].output)
    if len(tensor.shape) != 4:
        raise UserError(f"{layer} of {network.name} has no feature map; its output has the shape {tensor.shape}")
    return layer, tensor


def check_classes(network: Network, class_index: Any, count: int) -> np.ndarray:
    """The numbers of the classes, (N,), of one for all images or one for each.

    Raises:
        UserError: if one is not a class of the model.
    """
    array = as_array(class_index, "class_index")
    return check_labels(network, np.full(count, array) if array.ndim == 0 else array, count, "class_index")
