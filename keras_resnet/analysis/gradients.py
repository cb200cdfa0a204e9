"""Norms of gradients and activations, unit by unit."""

import dataclasses
from typing import TYPE_CHECKING, Any

import keras

from .autodiff import Watch, differentiate, norm, root_mean_square
from .batch import check_images, check_labels
from .figures import draw_units
from .forward import Forward
from .logits import mean_cross_entropy, up_to_logits
from .network import find_network
from .results import Result

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
    outputs: dict[str, tuple[float, float]] = {}

    def program(watch: Watch) -> Any:
        def tap(name: str, value: Any) -> Any:
            outputs[name] = norm([value]), root_mean_square(value)
            return watch(name, value)

        taps = {id(unit.leaving): lambda value, name=unit.name: tap(name, value) for unit in network.units}
        forward = Forward(network, training=training, taps=taps, replaced=up_to_logits(network))
        return mean_cross_entropy(forward(images), labels)

    found = differentiate(program, list(weights.values()))
    of_weights = dict(zip(weights, found.of_weights, strict=True))

    def weight_norm(weights: list[keras.Variable]) -> float | None:
        return norm(of_weights[id(weight)] for weight in weights) if weights else None

    names = tuple(unit.name for unit in network.units)
    return GradientNorms(
        names,
        found.result,
        tuple(weight_norm(unit.weights) for unit in network.units),
        tuple(weight_norm([weight for weight in unit.weights if weight.name == "kernel"]) for unit in network.units),
        tuple(norm([found.of_values[name]]) for name in names),
        tuple(root_mean_square(found.of_values[name]) for name in names),
        tuple(outputs[name][0] for name in names),
        tuple(outputs[name][1] for name in names),
    )
