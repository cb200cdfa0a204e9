"""Norms of gradients and activations, unit by unit."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .autodiff import Watch, differentiate, to_numpy
from .batch import check_images, check_labels
from .figures import draw_units
from .forward import Forward
from .logits import mean_cross_entropy, up_to_logits
from .network import find_network
from .results import Result, norm, root_mean_square

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class GradientNorms(Result):
    """What `gradient_norms` found. All but the loss have one number per unit, in the order of the network.

    Attributes:
        units: their names, such as "stage1_unit1".
        loss: the mean cross-entropy of the batch.
        weight_gradients: L2 norm of the gradient by all trainable weights of the unit together; None where all are frozen.
        kernel_gradients: the same, of the convolutions' kernels only, projections and gates included.
        output_gradients: L2 norm of the gradient by the unit's output, over the whole batch.
        output_gradient_rms: the same as a root mean square per element, so that stages of different sizes compare.
        outputs: L2 norm of the unit's output, over the whole batch.
        output_rms: the same as a root mean square per element.
    """

    units: tuple[str, ...]
    loss: float
    weight_gradients: tuple[float | None, ...]
    kernel_gradients: tuple[float | None, ...]
    output_gradients: tuple[float, ...]
    output_gradient_rms: tuple[float, ...]
    outputs: tuple[float, ...]
    output_rms: tuple[float, ...]

    def plot(self) -> "Figure":
        """Draws the norms by weights and kernels, and those of the outputs per element, from the first unit to the last."""
        panels = {
            "gradient by the weights": {"all weights": self.weight_gradients, "kernels": self.kernel_gradients},
            "gradient by the output, per element": {"": self.output_gradient_rms},
            "output, per element": {"": self.output_rms},
        }
        return draw_units(self.units, panels, log=True)


def gradient_norms(model: keras.Model, images: Any, labels: Any, *, training: bool = True) -> GradientNorms:
    """Measures how the gradient of the loss reaches each unit, in one forward and one backward pass. The model stays as it is.

    The loss is the mean sparse categorical cross-entropy, without penalties on weights; the model ends in softmax or logits.

    Args:
        model: a network of this zoo with a top, or a classifier with one inside.
        images: a batch as the model takes it, (N, H, W, C).
        labels: the classes' numbers, (N,).
        training: normalize with the statistics of the batch, and drop out, as in training; False: with the moving statistics.

    Raises:
        UserError: if the model is not such a network, or images or labels do not fit it.
    """
    network = find_network(model)
    images = check_images(network, images)
    labels = check_labels(network, labels, len(images))
    weights = {id(weight): weight for unit in network.units for weight in unit.weights}
    names = tuple(unit.name for unit in network.units)

    def program(watch: Watch) -> Any:
        taps = {id(unit.leaving): functools.partial(watch, unit.name) for unit in network.units}
        forward = Forward(network, training=training, taps=taps, replaced=up_to_logits(network))
        return mean_cross_entropy(forward(images), labels)

    found = differentiate(program, list(weights.values()))
    of_weights = dict(zip(weights, map(as_array_or_zero, found.of_weights), strict=True))
    of_outputs = [as_array_or_zero(found.of_values[name]) for name in names]
    outputs = [to_numpy(found.values[name]) for name in names]

    def norm_by(weights: list[keras.Variable]) -> float | None:
        return norm(of_weights[id(weight)] for weight in weights) if weights else None

    return GradientNorms(
        names,
        found.result,
        weight_gradients=tuple(norm_by(unit.weights) for unit in network.units),
        kernel_gradients=tuple(norm_by([w for w in unit.weights if w.name == "kernel"]) for unit in network.units),
        output_gradients=tuple(norm([gradient]) for gradient in of_outputs),
        output_gradient_rms=tuple(map(root_mean_square, of_outputs)),
        outputs=tuple(norm([output]) for output in outputs),
        output_rms=tuple(map(root_mean_square, outputs)),
    )


def as_array_or_zero(gradient: Any) -> np.ndarray:
    """A gradient as an array; that by something which the loss does not depend on is zero."""
    return np.zeros(1) if gradient is None else to_numpy(gradient)
