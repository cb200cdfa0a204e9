"""The options that every network takes besides its row of the table."""

import dataclasses
import math
import numbers

from keras_resnet.errors import UserError, check_at_most

MAX_WIDTH_MULTIPLIER = 64  # of a network for CIFAR, which then has 4096 channels; see also `builder.MAX_WIDTH`


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """How to depart from the paper's network.

    Attributes:
        width_multiplier: factor on the stages' widths; the stem follows where it would be wider than the first stage.
        stochastic_depth: how often training leaves out the last unit's branch; linear decay (Huang et al. 2016,
            arXiv:1603.09382, eq. 4) gives unit l of L the rate l/L times this. The branches that stay are scaled by
            1/(1 - rate).
        zero_init_residual: every branch begins as zeros, by its last gammas or, where no norm ends it, its last kernel
            (Goyal et al. 2017, arXiv:1706.02677, section 5.1).
        classifier_dropout: dropout rate before the classifier.
        output_stride: image pixels per pixel of the last feature map; strides beyond it become dilations (Chen et al. 2017,
            arXiv:1706.05587, section 3.1). None for the network's own.

    Raises:
        UserError: if a value is out of range.
    """

    width_multiplier: float = 1.0
    stochastic_depth: float = 0.0
    zero_init_residual: bool = False
    classifier_dropout: float = 0.0
    output_stride: int | None = None

    def __post_init__(self) -> None:
        if not (is_number(self.width_multiplier) and 0 < self.width_multiplier < math.inf):
            raise UserError(f"width_multiplier is {self.width_multiplier!r}; it is a number above 0")
        check_at_most("width_multiplier", self.width_multiplier, MAX_WIDTH_MULTIPLIER)
        for name in ("stochastic_depth", "classifier_dropout"):
            if not (is_number(getattr(self, name)) and 0 <= getattr(self, name) < 1):
                raise UserError(f"{name} is {getattr(self, name)!r}; it is at least 0 and below 1")
        if not isinstance(self.zero_init_residual, bool):
            raise UserError(f"zero_init_residual is {self.zero_init_residual!r}; it is True or False")


def is_number(value: object) -> bool:
    """Whether this is a real number, and not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
